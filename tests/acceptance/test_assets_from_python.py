"""Assets from a script, a test or a notebook: planned, brought up to date, loaded."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from command_line import Folder
from tidemill import Problem, Project
from tidemill.plan.values import State

SHOP = """
import polars as pl
from tidemill import asset, flow, source, task

@source
def orders() -> list[int]:
    return [1, 2, 3]

@asset
def table(orders: list[int], least: int = 1) -> pl.DataFrame:
    return pl.DataFrame({"n": [n for n in orders if n >= least]})

@asset
def total(table: pl.DataFrame) -> int:
    return int(table["n"].sum())

@task
def double(total: int) -> int:
    return 2 * total

@flow
def report():
    return double(total)

@flow
def other():
    return double(1)
"""


@pytest.fixture
def shop(folder: Folder) -> Project:
    folder.write(SHOP, "shop.py")
    return Project(folder.path / "shop.py", env={})


def test_assets_are_planned_brought_up_to_date_and_loaded(shop: Project) -> None:
    assert shop.assets() == ["orders", "table", "total"]
    assert [one.state for one in shop.plan_assets("total").decisions] == [State.BLOCKED]
    update = shop.run_assets("+total")
    assert update.succeeded
    assert [task.place for task in update.run.tasks] == ["table", "total"]
    assert shop.run_assets() == (shop.plan_assets(), None)
    assert (shop.load("total"), shop.load("orders")) == (6, [1, 2, 3])
    assert isinstance(shop.load("table", want=pl.LazyFrame), pl.LazyFrame)


def test_every_version_can_be_loaded_and_the_newest_comes_first(shop: Project) -> None:
    shop.run_assets()
    shop.run_assets(least=2)
    new, old = shop.versions("total")
    assert (shop.load("total"), shop.load("total", version=new.version), shop.load("total", version=old.version[:10])) == (5, 5, 6)
    assert (old.before, new.before) == ("", old.version)


def test_what_is_not_there_is_said_with_the_nearest_name(shop: Project) -> None:
    with pytest.raises(Problem, match="Nothing was run yet"):
        shop.load("total")
    shop.run_assets("+table")
    with pytest.raises(Problem, match="default shows no version of 'total'") as never:
        shop.load("total")
    assert never.value.mend == "Did you mean 'table'? Else build it: tidemill run +total"
    with pytest.raises(Problem, match="Did you mean 'table'"):
        shop.load("tabel")
    with pytest.raises(Problem, match="table has no version that begins with 'zz'"):
        shop.load("table", version="zz")


def test_a_source_that_fails_leaves_no_plan_and_names_the_run(folder: Folder) -> None:
    looks = "@source\ndef s() -> int:\n    raise ValueError('down')\n\n"
    folder.write(f"from tidemill import asset, source\n\n{looks}@asset\ndef a(s: int) -> int:\n    return s\n")
    project = Project(folder.path / "pipeline.py", env={})
    with pytest.raises(Problem, match="The sources could not be looked at, so no plan was made") as failed:
        project.run_assets()
    assert "down" in failed.value.why
    run = failed.value.mend.rpartition(" ")[2]
    assert folder.tidemill("show", run, "--json").json["state"] == "failed"


def test_an_asset_itself_gives_its_value_and_versions(shop: Project, folder: Folder) -> None:
    shop.run_assets()
    code = "import shop; print(shop.total.load(), [v.because for v in shop.total.versions()], type(shop.table.load()).__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder.path, env=folder.env(), capture_output=True, text=True, check=False)
    assert done.stdout == "6 ['computed'] DataFrame\n", done.stderr


def test_a_flow_reads_the_version_that_its_environment_shows(shop: Project, folder: Folder) -> None:
    with pytest.raises(Problem, match="total"):
        shop.run("report")
    shop.run_assets()
    assert shop.run("report").value() == 12
    assert folder.tidemill("run", "report").stdout == "12\n"


def test_promoting_from_python_says_what_moves(shop: Project, folder: Folder) -> None:
    shop.run_assets("+table")
    folder.tidemill("env", "create", "dev")
    dev = Project(folder.path / "shop.py", "dev", env={})
    dev.run_assets()
    told, moved = shop.promote("dev")
    assert ([ref.asset for ref in told.moves], told.work, moved) == (["total"], [], True)
    with pytest.raises(Problem, match="default shows all of it already"):
        shop.promote("dev")
    with pytest.raises(Problem, match="There is no environment 'prod'"):
        shop.promote("dev", to="prod")
    with pytest.raises(Problem, match="There is no environment 'deb'"):
        shop.promote("deb")


def test_while_another_process_drives_runs_a_plan_takes_sources_as_last_seen(shop: Project, folder: Folder) -> None:
    shop.run_assets()
    store = shop.store(lock=True, command="somebody else")
    try:
        told = folder.tidemill("plan", "+total")
    finally:
        store.close()
    assert "The sources are taken as they were last seen" in told.stderr
    assert told.stdout == "3 assets are as they should be.\n"

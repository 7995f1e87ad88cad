"""Where a project is, from the words of a command line and the folder one stands in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tidemill.executors.far.problems import NoProject
from tidemill.project.home import NoHome, make_home
from tidemill.project.places import NoHistory, check_definitions, find, histories_below
from tidemill.project.project import Project

FLOW = "from tidemill import flow\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(FLOW)
    (tmp_path / "other.py").write_text("print('hello')\n")
    return tmp_path


def test_a_file_is_the_target_and_its_folder_the_project(shop: Path) -> None:
    place = find(["shop.py", "nightly"], shop)
    assert (place.folder, place.target, place.names) == (shop, str(shop / "shop.py"), ("nightly",))


def test_without_a_target_the_current_folder_is_the_project(shop: Path) -> None:
    assert find(["nightly"], shop) == find(["nightly"], shop)
    assert find(["nightly"], shop).target == str(shop)
    assert find(["nightly"], shop).names == ("nightly",)


def test_a_word_that_is_a_file_here_is_a_module(shop: Path) -> None:
    assert find(["shop"], shop).target == str(shop / "shop.py")


def test_a_folder_is_the_target_when_it_is_a_project(shop: Path) -> None:
    inner = shop / "inner"
    inner.mkdir()
    assert find(["inner"], shop).names == ("inner",)
    (inner / "flows.py").write_text(FLOW)
    assert find(["inner"], shop).target == str(inner)


def test_a_dotted_name_is_a_module_if_there_is_one(shop: Path) -> None:
    (shop / "flows").mkdir()
    (shop / "flows" / "daily.py").write_text(FLOW)
    assert find(["flows.daily"], shop).target == "flows.daily"
    assert find(["nothing.here"], shop).names == ("nothing.here",)


def test_settings_above_make_the_folder_above_the_project(shop: Path) -> None:
    (shop / "tidemill.toml").write_text("workers = 1\n")
    below = shop / "a" / "b"
    below.mkdir(parents=True)
    (below / "flow.py").write_text(FLOW)
    assert find(["a/b/flow.py"], shop).folder == shop
    assert find([], below).folder == below  # it has a pipeline of its own
    (below / "flow.py").unlink()
    assert find([], below).folder == shop


def test_a_pyproject_counts_only_with_our_table(shop: Path) -> None:
    below = shop / "src"
    below.mkdir()
    (shop / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert find([], below).folder == below
    (shop / "pyproject.toml").write_text("[tool.tidemill]\nworkers = 1\n")
    assert find([], below).folder == shop


def test_a_file_that_is_not_there_is_named_with_the_nearest_guess(shop: Path) -> None:
    with pytest.raises(NoProject) as caught:
        find(["shpo.py"], shop)
    assert caught.value.what == "There is no shpo.py."
    assert caught.value.mend == "Did you mean shop.py?"


def test_a_folder_without_a_pipeline_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "notes.py").write_text("# tidemill is mentioned\n")
    with pytest.raises(NoProject) as caught:
        check_definitions(find([], tmp_path), ())
    assert caught.value.why == "None of notes.py imports tidemill."
    assert [path.name for path in tmp_path.iterdir()] == ["notes.py"]


def test_the_home_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    home = tmp_path / ".tidemill"
    make_home(home)
    make_home(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / ".gitignore").read_text() == "*\n"


def test_a_home_that_cannot_be_made_says_how_to_name_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoHome) as caught:
        make_home(tmp_path / "file" / ".tidemill")
    assert "cannot be used" in caught.value.what
    assert "TIDEMILL_HOME" in caught.value.mend


def test_looking_at_a_project_without_history_makes_nothing_and_names_one_below(shop: Path) -> None:
    with pytest.raises(NoHistory) as caught:
        Project.at(find([], shop), env={}).store()
    assert caught.value.mend == "Run something first: tidemill run FILE.py"
    assert not (shop / ".tidemill").exists()
    (shop / "inner" / ".tidemill").mkdir(parents=True)
    assert histories_below(shop) == [Path("inner")]
    with pytest.raises(NoHistory, match="--project inner"):
        Project.at(find([], shop), env={}).store()


def test_variables_move_the_state(shop: Path, tmp_path: Path) -> None:
    env = {"TIDEMILL_HOME": str(tmp_path / "elsewhere"), "TIDEMILL_ARTIFACTS": "s3://bucket/values"}
    project = Project(shop / "shop.py", env=env)
    assert project.home == tmp_path / "elsewhere"
    assert project.spec().artifacts == "s3://bucket/values"
    assert project.settings.database_url == f"sqlite:///{tmp_path / 'elsewhere' / 'tidemill.db'}"


def test_modules_of_the_settings_are_imported_by_name(shop: Path) -> None:
    (shop / "tidemill.toml").write_text('modules = ["shop", "flows/daily.py"]\n')
    assert Project(os.fspath(shop), env={}, current=shop.parent).spec().modules == ("shop", "flows.daily")
    assert Project(shop / "shop.py", env={}).spec().modules == ()

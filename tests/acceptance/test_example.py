"""The example's figures are true: the same numbers come out of plain SQL over the same file."""

from __future__ import annotations

import csv
import hashlib
import importlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "birdstrikes"
DATA = EXAMPLE / "data" / "birdstrikes.csv"
PUBLISHED = "45777edf69984b37599e73dbfb34dbc976055243547407214261a4fcb9466462"

BY_MONTH = """
    with report as (select distinct * from read_csv(?, all_varchar = true))
    select
        strftime(date_trunc('month', "Flight Date"::date), '%Y-%m-%d') as month,
        count(*) as strikes,
        count(*) filter ("Effect Amount of damage" in ('Minor', 'Medium', 'Substantial')) as damaging,
        sum("Cost Total $"::bigint) as cost
    from report group by 1 order by 1
"""


@pytest.fixture(scope="module")
def months() -> list[tuple[str, int, int, int]]:
    """The table, by a way that shares nothing with the example."""
    with duckdb.connect() as database:
        return [(month, int(n), int(bad), int(cost)) for month, n, bad, cost in database.execute(BY_MONTH, [str(DATA)]).fetchall()]


def table_in(folder: Path) -> list[tuple[str, int, int, int]]:
    with (folder / "strikes_by_month.csv").open() as file:
        return [(row["month"], int(row["strikes"]), int(row["damaging"]), int(row["cost"])) for row in csv.DictReader(file)]


@pytest.fixture
def birdstrikes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    return importlib.import_module("birdstrikes")


def test_the_data_is_the_untouched_copy() -> None:
    assert hashlib.sha256(DATA.read_bytes()).hexdigest() == PUBLISHED
    assert PUBLISHED in (EXAMPLE / "data" / "README.md").read_text()


def test_the_flow_called_plainly_returns_the_totals_of_plain_sql(birdstrikes: ModuleType, months: list, tmp_path: Path, capsys) -> None:
    found = birdstrikes.birdstrikes(folder=tmp_path)
    most = max(strikes for _, strikes, _, _ in months)
    assert found == {
        "reports": sum(strikes for _, strikes, _, _ in months),
        "duplicates": 10_000 - sum(strikes for _, strikes, _, _ in months),
        "damaging": sum(damaging for _, _, damaging, _ in months),
        "cost": sum(cost for _, _, _, cost in months),
        "months": len(months),
        "worst month": next(month[:7] for month, strikes, _, _ in months if strikes == most),
        "strikes in it": most,
    }
    printed = dict(line.strip().rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {what: f"{value:,}" if isinstance(value, int) else value for what, value in found.items()}.items() <= printed.items()


def test_the_installed_command_publishes_the_table_of_plain_sql(months: list, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidemill", "run", str(EXAMPLE / "birdstrikes.py"), "--param", f"folder={tmp_path / 'output'}"]
    home = {"TIDEMILL_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert table_in(tmp_path / "output") == months


def test_the_published_files_hold_the_months_of_plain_sql(birdstrikes: ModuleType, months: list, tmp_path: Path) -> None:
    birdstrikes.birdstrikes(folder=tmp_path)
    assert table_in(tmp_path) == months
    with duckdb.connect() as database:
        stored = database.execute("select * from read_parquet(?)", [str(tmp_path / "strikes_by_month.parquet")]).fetchall()
    assert [(str(month), *rest) for month, *rest in stored] == months
    shown = ET.parse(tmp_path / "strikes_by_month.svg").getroot().itertext()
    assert [int(text) for text in shown if text.isdigit() and int(text) < 1000] == [strikes for _, strikes, _, _ in months]


def test_every_cleaned_row_is_accounted_for(birdstrikes: ModuleType) -> None:
    filed = birdstrikes.ingest(DATA)
    strikes = birdstrikes.clean(filed)
    counts = birdstrikes.account(filed, strikes)
    assert counts["filed"] == counts["kept"] + counts["duplicates dropped"] + counts["undated dropped"]
    with duckdb.connect() as database:
        sql = """
            with report as (select distinct * from read_csv(?, all_varchar = true))
            select count(*),
                   count(*) filter ("Speed IAS in knots" is null),
                   count(*) filter ("Effect Amount of damage" in ('B', 'C'))
            from report
        """
        kept, slow, unknown = database.execute(sql, [str(DATA)]).fetchone()
    assert (strikes.height, counts["speed not reported"], counts["damage code unknown"]) == (kept, slow, unknown)
    assert not strikes["operator"].str.ends_with("*").any()

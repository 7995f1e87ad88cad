"""What the store's problems say: what happened, why, and the mend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.store.problems import (
    EnvironmentNeeded,
    EnvironmentTaken,
    Foreign,
    LostWrites,
    Moved,
    OutOfStep,
    SchemaNewer,
    SchemaOlder,
    StoreAway,
    StoreFailed,
    StoreFull,
)
from tidemill.store.versions import check_version


def test_a_full_disk_says_that_nothing_is_lost() -> None:
    told = StoreFull("store.db", "database or disk is full")
    assert told.what == "There is no room left in store.db."
    assert told.why.startswith("The database said: database or disk is full. The change was taken back as a whole")
    assert "tidemill gc" in told.mend


def test_a_server_that_is_away_says_where_to_look() -> None:
    told = StoreAway("postgresql://h/d", "connection refused")
    assert str(told).splitlines()[:2] == ["The database postgresql://h/d does not answer.", "The driver said: connection refused."]
    assert "Start the server" in told.mend


def test_a_fault_without_a_name_of_its_own_asks_to_be_reported() -> None:
    told = StoreFailed("store.db", "no such column")
    assert "It said: no such column." in told.why
    assert "please report" in told.mend


def test_lost_entries_are_counted_and_the_way_on_is_named() -> None:
    told = LostWrites("store.db", had=10, has=7, lock="store.db.lock")
    assert told.what == "store.db has lost the last 3 entries of its log."
    assert told.mend.endswith("delete store.db.lock.")


def test_a_log_out_of_step_says_where_it_ends() -> None:
    told = OutOfStep("r1", last=3, given=5)
    assert told.what == "The log of run r1 ends with entry 3, and other entries from 5 on were to be added."


def test_pointers_that_moved_meanwhile_are_named_with_what_they_show() -> None:
    told = Moved("prod", [("shop.clean", "fr", "a" * 64, "b" * 64), ("raw", "", "", "c" * 64), ("sums", "", "d" * 64, "")])
    assert told.what == "Nothing was published: 3 of the assets of 'prod' changed in the meantime."
    shown = f"shop.clean [fr] shows {'b' * 12}, not {'a' * 12}; raw shows {'c' * 12}, not nothing; sums shows nothing, not {'d' * 12}."
    assert told.why == shown
    assert "ask for it again" in told.mend
    assert told.report().code == "refs-moved"


def test_of_many_pointers_that_moved_the_first_eight_are_named() -> None:
    told = Moved("prod", [(f"a{n}", "", "", "b") for n in range(20)])
    assert told.why.endswith("a7 shows b, not nothing; and 12 more.")


def test_an_environment_on_another_parent_says_on_which() -> None:
    told = EnvironmentTaken("dev", parent="prod", asked="")
    assert told.what == "There is an environment 'dev' already, and it stands on 'prod'."
    assert told.why.startswith("It was to be made so that it stands on none.")
    assert told.mend.startswith("Take another name")


def test_an_environment_that_must_stay_says_for_whom() -> None:
    told = EnvironmentNeeded("prod", children=[f"dev{n}" for n in range(9)])
    assert told.what == "The environment 'prod' cannot be dropped."
    assert told.why.endswith("dev6, dev7 ….")
    assert told.mend == "Drop those first."
    assert EnvironmentNeeded("default").why == "It is always there."


def test_an_older_store_asks_for_the_upgrade() -> None:
    with pytest.raises(SchemaOlder) as refused:
        check_version("0001", "store.db", ["0001", "0002"])
    assert refused.value.what == "store.db was made by an older Tidemill."
    assert refused.value.mend.endswith("tidemill db upgrade")


@pytest.mark.parametrize(("found", "kind"), [("0003", SchemaNewer), (None, Foreign), ("", Foreign)])
def test_a_version_that_is_unknown_or_missing_is_refused(found: str | None, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        check_version(found, "store.db", ["0001", "0002"])


def test_the_current_version_is_accepted() -> None:
    assert check_version("0002", "store.db", ["0001", "0002"]) is None


def probe(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_without_its_driver_postgres_says_what_to_install() -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from tidemill.errors import Problem
from tidemill.store import open_store
for url in ("postgresql://h/d", "postgresql+psycopg://h/d"):
    try:
        open_store(url)
    except Problem as problem:
        print(problem.report().code, problem.mend)
"""
    assert probe(script) == "store-driver-missing pip install 'tidemill[postgres]'\n" * 2


def test_the_store_in_memory_needs_no_sqlalchemy() -> None:
    script = "import sys; from tidemill.store import open_store; open_store('memory://'); print('sqlalchemy' in sys.modules)"
    assert probe(script) == "False\n"


def test_neither_alembic_nor_the_other_databases_dialect_is_loaded_to_open_a_store(tmp_path: Path) -> None:
    script = f"""
import sys
from tidemill.store import open_store
open_store("sqlite:///{tmp_path}/s.db").close()
print(sorted({{"alembic", "psycopg", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm"}} & set(sys.modules)))
"""
    assert probe(script) == "[]\n"

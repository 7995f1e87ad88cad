"""`import tidemill` is light: it is what every notebook, test and worker pays first."""

from __future__ import annotations

import subprocess
import sys

PROBE = "import sys; before = set(sys.modules); import tidemill; print(*sorted(set(sys.modules) - before))"
HEAVY = {
    "alembic",
    "asyncio",
    "click",
    "duckdb",
    "fsspec",
    "multiprocessing",
    "numpy",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "pydantic",
}
HEAVY |= {"rich", "sqlalchemy", "torch"}


def loaded() -> list[str]:
    # -S would hide installed packages; a bare interpreter is the measure, so what site loads is not counted.
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_tidemill_loads_at_most_120_modules() -> None:
    names = loaded()
    assert "tidemill" in names
    assert len(names) <= 120, " ".join(names)


def test_importing_tidemill_loads_nothing_heavy() -> None:
    assert not HEAVY & set(loaded())

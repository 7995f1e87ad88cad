"""The control process is really killed, before and after every write to a real SQLite file, and another goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.ports import Page, TaskFilter
from tidemill.store import open_store

SCRIPT = Path(__file__).with_name("crashing.py")
STATES = {"numbers": "succeeded", "double": "succeeded", "total": "succeeded"}


def process(home: Path, writes: object) -> int:
    """How it ended: 0, or minus the signal."""
    environment = {**os.environ, "PAID": str(home / "paid")}
    done = subprocess.run(
        [sys.executable, SCRIPT, home, str(writes)], env=environment, timeout=100, check=False, capture_output=True, text=True
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def outcome(home: Path) -> tuple[str, dict[str, str], list[int]]:
    store = open_store(f"sqlite:///{home}/store.db")
    try:
        states = {row.place: str(row.state) for row in store.tasks("r1", TaskFilter(), Page())}
        assert store.audit(now=store.run("r1").ended_at) == []
        return str(store.run("r1").state), states, [event.n for event in store.events("r1")]
    finally:
        store.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", [0, 0.5], ids=["before", "after"])
def test_whatever_write_the_process_is_killed_at_the_run_ends_the_same(tmp_path: Path, share: float) -> None:
    crashes = 0
    for n in range(100):
        home = tmp_path / f"at{n}"
        home.mkdir()
        if process(home, n + share) == 0:
            break
        crashes += 1
        assert process(home, "never") == 0
        state, states, entries = outcome(home)
        paid = (home / "paid").read_text().count("paid") if (home / "paid").exists() else 0
        assert paid <= 1, f"write {n + share}: at most once, and it was {paid} times"
        assert entries == list(range(1, len(entries) + 1))
        if states.get("pay") == "lost":  # it had been started, and nobody knows how it ended
            assert (state, states) == ("failed", {**STATES, "pay": "lost", "total": "blocked"}), f"write {n + share}"
        else:
            assert (state, states, paid) == ("succeeded", {**STATES, "pay": "succeeded"}, 1), f"write {n + share}"
    assert crashes >= 4, "there were fewer writes than a run needs"

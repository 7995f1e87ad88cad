"""Ctrl-C, kills, crashes and crowds: nothing is lost, nobody is left behind, and what happens is said."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Folder

HANGING = """
import os, signal, time
from pathlib import Path
from tidemill import flow, task

@task
def first() -> int:
    with open("counted", "a") as file:
        file.write("first\\n")
    return 1

@task
def hang(x: int) -> int:
    Path("pid").write_text(str(os.getpid()))
    print("hanging", flush=True)
    with open("gate") as gate:      # a pipe: opening it waits until the test opens it as well
        return x + int(gate.read())

@flow
def slow():
    return hang(first())

@task
def stubborn() -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("pid").write_text(str(os.getpid()))
    with open("gate", "w"):         # the test opens the other end once it is here
        pass
    time.sleep(1000)
    return 1

@flow
def deaf():
    return stubborn()

@flow
def quick():
    return first()
"""


@pytest.fixture
def hanging(folder: Folder) -> Folder:
    folder.write(HANGING)
    os.mkfifo(folder.path / "gate")
    return folder


def let_go(folder: Folder, value: str = "41") -> None:
    """Wait until the task waits, and let it return."""
    (folder.path / "gate").write_text(value)


def states(folder: Folder) -> dict[str, str]:
    """The state of the newest run of each flow."""
    return {run["flow"]: run["state"] for run in reversed(folder.tidemill("runs", "--json").json["runs"])}


def worker(folder: Folder) -> int:
    return int((folder.path / "pid").read_text())


def test_ctrl_c_once_cancels_cleanly_and_says_so(hanging: Folder, gone: Callable[[int], bool]) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    going.send(signal.SIGINT)
    done = going.end()
    assert done.returncode == 130
    assert "Cancelling: what runs is stopped, within 10 s. Again kills it at once." in done.stderr
    assert "■ hang cancelled" in done.stderr
    assert "of slow cancelled in" in done.stderr
    (run,) = hanging.tidemill("runs", "--json").json["runs"]
    assert (run["state"], run["because"], run["counts"]) == ("cancelled", "cancelled by SIGINT", {"succeeded": 1, "cancelled": 1})
    hanging.all_is_well()
    assert not (hanging.path / "pid").exists() or gone(worker(hanging))


def test_ctrl_c_twice_kills_at_once_and_the_next_run_ends_it(hanging: Folder, gone: Callable[[int], bool]) -> None:
    going = hanging.start("run", "deaf")
    (hanging.path / "gate").read_text()  # it ignores SIGTERM from here on
    going.send(signal.SIGINT)
    going.until("Cancelling")
    going.send(signal.SIGINT)
    done = going.end()
    assert done.returncode == 130
    assert "Killed. Run " in done.stderr
    assert gone(worker(hanging))
    hanging.start("run", "quick").end()
    assert states(hanging) == {
        "deaf": "cancelled",
        "quick": "succeeded",
    }
    hanging.all_is_well()


def test_sigterm_cancels_as_ctrl_c_does(hanging: Folder) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    going.send(signal.SIGTERM)
    assert going.end().returncode == 130
    assert hanging.tidemill("runs", "--json").json["runs"][0]["because"] == "cancelled by SIGTERM"


def test_after_a_crash_the_next_run_goes_on_where_it_was(hanging: Folder, gone: Callable[[int], bool]) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    let_go(hanging, "")  # it is there, and fails: its result must not be lost or done twice either
    going.end()
    (hanging.path / "counted").unlink()
    going = hanging.start("run", "slow")
    going.until("hang running")
    while hanging.tidemill("show", "last", "first", "--json").json["state"] != "succeeded":
        pass  # what is recorded is not done again; what was only begun to be recorded may be
    going.send(signal.SIGKILL)
    going.end()
    told = hanging.tidemill("explain", "last").stdout
    assert "No process drives it: the next `tidemill run` of its project continues it." in told
    again = hanging.start("run", "quick")
    again.until("was left unfinished by a process that ended: it goes on.")
    again.until("hang running")
    let_go(hanging)
    done = again.end()
    assert done.returncode == 0, done.stderr
    runs = hanging.tidemill("runs", "--json").json["runs"]
    assert [(run["flow"], run["state"]) for run in runs] == [("quick", "succeeded"), ("slow", "succeeded"), ("slow", "failed")]
    assert (hanging.path / "counted").read_text().split() == ["first", "first"]  # of slow once, of quick once
    assert "took it up: the one before was gone" in hanging.tidemill("explain", runs[1]["id"]).stdout
    hanging.all_is_well()


def test_two_runs_at_once_on_one_file_are_refused_with_the_holder_named(hanging: Folder) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    said = hanging.tidemill("run", "quick", code=2).stderr
    assert "error[store-in-use]" in said
    assert f"is in use by process {going.process.pid} (tidemill run slow)" in said
    assert "tidemill run slow" in hanging.tidemill("doctor").stdout
    let_go(hanging)
    assert going.end().stdout == "42\n"


def test_a_run_is_cancelled_from_another_process(hanging: Folder) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    said = hanging.tidemill("cancel", "last", "--because", "wrong day").stderr
    assert "of slow is cancelled." in said
    assert going.end().returncode == 1
    assert hanging.tidemill("runs", "--json").json["runs"][0]["because"] == "wrong day"
    assert "had ended already: cancelled" in hanging.tidemill("cancel", "last").stderr


def test_the_cancellation_of_a_run_that_nobody_drives_waits_for_the_next_run(hanging: Folder) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    going.send(signal.SIGKILL)
    going.end()
    assert "No process drives it; the next `tidemill run` of its project ends it." in hanging.tidemill("cancel", "last").stderr
    hanging.tidemill("run", "quick", code=1)
    assert states(hanging) == {
        "slow": "cancelled",
        "quick": "succeeded",
    }


def test_an_unfinished_run_of_another_file_is_left_alone_and_named(hanging: Folder) -> None:
    hanging.write(HANGING, "other.py")
    going = hanging.start("run", "other.py", "slow")
    going.until("hang running")
    going.send(signal.SIGKILL)
    going.end()
    said = hanging.tidemill("run", "pipeline.py", "quick").stderr
    assert "of slow is unfinished, and is not continued here: its definitions are in" in said
    assert "other.py" in said


def test_logs_are_followed_until_the_task_ends(hanging: Folder) -> None:
    going = hanging.start("run", "slow")
    going.until("hang running")
    following = hanging.start("logs", "last", "hang", "-f")
    assert following.process.stdout is not None
    assert following.process.stdout.readline().endswith(" hanging\n")
    whole = hanging.start("logs", "last", "-f")
    assert whole.process.stdout is not None
    assert whole.process.stdout.readline().endswith("[hang] hanging\n")
    let_go(hanging)
    assert going.end().returncode == 0
    assert (following.end().returncode, whole.end().returncode) == (0, 0)


def test_a_waiting_task_of_a_running_run_says_what_it_waits_for(hanging: Folder) -> None:
    hanging.write(HANGING.replace("return hang(first())", "return hang(hang(first()))"))
    going = hanging.start("run", "slow")
    going.until("hang running")
    assert "It waits for hang (running)." in hanging.tidemill("explain", "last", "hang-2").stdout
    assert f"It is driven by process {going.process.pid}" in hanging.tidemill("explain", "last").stdout
    assert "it has not ended" in hanging.tidemill("retry", "last", code=2).stderr
    going.send(signal.SIGINT)
    going.end()


def test_ctrl_c_while_the_project_is_imported_ends_without_a_run(folder: Folder) -> None:
    folder.write("import os\nfrom tidemill import flow\nopen('gate', 'w').close()\nopen('gate').read()\n@flow\ndef f(): ...\n")
    os.mkfifo(folder.path / "gate")
    going = folder.start("run")
    (folder.path / "gate").read_text()  # the import stands still from here on
    going.send(signal.SIGINT)
    done = going.end()
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_a_store_of_a_newer_tidemill_is_refused_with_the_mend(hanging: Folder) -> None:
    hanging.tidemill("run", "quick")
    path: Path = hanging.path / ".tidemill" / "tidemill.db"
    with sqlite3.connect(path) as database:
        (table,) = [name for (name,) in database.execute("select name from sqlite_master where name like '%version%' and type = 'table'")]
        (column,) = [row[1] for row in database.execute(f"pragma table_info({table})")]
        database.execute(f"update {table} set {column} = '9999'")
    database.close()
    said = hanging.tidemill("run", "quick", code=2).stderr
    assert "was made by a newer Tidemill" in said

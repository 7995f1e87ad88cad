from __future__ import annotations

import pytest

from tidemill.executors import ends
from tidemill.executors.far.problems import CannotImport, EndedWhileLoading, LoadTimeout
from tidemill.executors.jobs import JobState, lane_of
from tidemill.executors.protocol import Exited
from tidemill.graph.nodes import TaskRef
from tidemill.graph.policy import Policy
from tidemill.graph.work import Job, Start

STATE = JobState(4, Job(id="r/a", run="r", flow="f", place="a", task=TaskRef("m", "f")))
GIVEN = (STATE, Start(2, 1))


@pytest.mark.parametrize(
    ("exited", "stopping", "among", "cause", "words"),
    [
        (Exited(1, signal=9, why="killed"), (4, 2, 1, "timeout"), 1, "timeout", "its time was up"),
        (Exited(1, signal=15, why="killed"), (4, 2, 1, "cancelled"), 1, "cancelled", "it was cancelled"),
        (Exited(1, signal=15, why="killed"), (4, 3, 1, "cancelled"), 2, "lost", "SIGTERM"),
        (Exited(1, signal=9, why="memory", detail="it took 9 MB"), None, 1, "memory", "it took 9 MB"),
        (Exited(1, signal=9, why="lease", detail="it stood still for 15 s"), None, 1, "lost", "stood still"),
        (Exited(1, signal=9), None, 1, "signal", "out-of-memory"),
        (Exited(1, signal=11, core=True), None, 1, "signal", "SIGSEGV (signal 11), and left a core dump"),
        (Exited(1, code=0), None, 1, "exit", "exit code 0"),
        (Exited(1, signal=11), None, 3, "lost", "2 others"),
    ],
)
def test_the_end_of_a_worker_is_told_as_the_cause_of_its_attempt(exited, stopping, among, cause, words):
    failure = ends.of_worker(exited, GIVEN, stopping=stopping, among=among)
    assert failure.cause == cause
    assert words in failure.message


@pytest.mark.parametrize(
    ("policy", "driver", "lane"),
    [
        (Policy(), False, "warm"),
        (Policy(isolation="fresh"), False, "fresh"),
        (Policy(memory=1), False, "fresh"),
        (Policy(executor="async"), False, "loop"),
        (Policy(executor="thread"), False, "threads"),
        (Policy(executor="inline"), False, "inline"),
        (Policy(executor="inline"), True, "threads"),
    ],
)
def test_the_policy_says_where_an_attempt_runs(policy, driver, lane):
    assert lane_of(policy, driver=driver) == lane


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (ends.NoSupervisor(5), ["ended 6 times in a row", "project.log"]),
        (ends.NoWorker("none"), ["are not there: none", "project.log"]),
        (ends.BuildTimeout(60), ["not built within 60 s", "into a task"]),
        (ends.BuilderEnded(Exited(1, signal=11)), ["SIGSEGV (signal 11)", "os._exit()"]),
        (LoadTimeout("shop.py", 60, where="shop.py:3", line="shop.py:3, in <module>"), ["did not end within 60 s", "stands at shop.py:3"]),
        (EndedWhileLoading("shop.py", "exit code 7"), ["ended the process: exit code 7", "os._exit()"]),
        (CannotImport("shop", ModuleNotFoundError("No module named 'x'", name="x")), ["'shop' cannot be imported", "Install 'x'"]),
        (CannotImport("shop", SystemExit(2)), ["it called exit(2)", "__main__"]),
    ],
)
def test_every_problem_says_what_why_and_how_to_mend_it(problem, words):
    text = str(problem)
    assert [word for word in words if word not in text] == []
    assert problem.mend

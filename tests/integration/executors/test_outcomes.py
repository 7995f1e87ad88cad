"""How attempts end, against real processes."""

from __future__ import annotations

import os
import signal

import msgspec
import pytest

from tidemill.authoring.assembly.shipping import Shipment
from tidemill.authoring.task import task
from tidemill.graph.nodes import TaskRef
from tidemill.graph.policy import Backoff, Policy
from tidemill.graph.values import At, Constant, Several
from tidemill.graph.work import Answer, Job, Note, Question, Start


def test_what_a_task_returns_comes_back(driver):
    assert driver.value(driver.result("same", x={"a": [1, None]})) == {"a": [1, None]}


def test_each_unit_gets_its_item_and_all_are_told_once(driver):
    job = driver.job("same", mapped=500)
    driver.launch(job, *range(500))
    outcomes = driver.ended(job, 500)
    assert {o.n: driver.value(o) for o in outcomes} == {n: n for n in range(500)}
    assert len(outcomes) == 500


def test_launching_an_attempt_twice_starts_it_once(driver, tmp_path):
    os.mkfifo(tmp_path / "s.go")
    job = driver.job("waits_for", x=0, sign=str(tmp_path / "s"))
    driver.launch(job)
    driver.launch(job)
    driver.file("s")
    driver.launch(job)
    (tmp_path / "s.go").write_bytes(b"go")
    driver.ended(job)
    assert driver.value(driver.result("same", x=1)) == 1
    assert len(driver.outcomes(job)) == 1


def test_an_error_is_told_with_the_users_frames_only(driver):
    failure = driver.result("raises").failure
    assert (failure.cause, failure.type) == ("error", "builtins.KeyError")
    assert failure.mro == ("builtins.KeyError", "builtins.LookupError", "builtins.Exception", "builtins.BaseException")
    assert "faults.py" in failure.traceback
    assert "tidemill/" not in failure.traceback


@pytest.mark.parametrize(
    ("name", "args", "cause"),
    [
        ("interrupts", {}, "error"),
        ("exits", {"code": 0}, "exit"),
        ("exits", {"code": 3}, "exit"),
        ("hard_exit", {"code": 0}, "exit"),
        ("hard_exit", {"code": 4}, "exit"),
        ("crashes", {}, "signal"),
        ("kills_itself", {}, "signal"),
        ("recurses", {}, "error"),
        ("unpicklable", {}, "result"),
    ],
)
def test_every_bad_end_has_its_cause_and_the_next_task_runs(driver, name, args, cause):
    failure = driver.result(name, **args).failure
    assert failure is not None
    assert failure.cause == cause, failure
    assert driver.value(driver.result("same", x=1)) == 1


def test_an_exit_tells_its_code_and_a_signal_its_name(driver):
    assert driver.result("exits", code=3).failure.exit_code == 3
    assert driver.result("hard_exit", code=4).failure.exit_code == 4
    failure = driver.result("crashes").failure
    assert failure.signal == signal.SIGSEGV
    assert "SIGSEGV" in failure.message
    assert "out-of-memory" in driver.result("kills_itself").failure.message


def test_a_crash_is_blamed_on_the_one_that_ran_and_the_queue_runs_elsewhere(driver):
    warm = driver.job("same", mapped=300)
    driver.launch(warm, *range(300))
    driver.ended(warm, 300)  # so that the task is known to be short, and queues are deep
    jobs = [driver.job("same", mapped=300), driver.job("kills_itself")]
    driver.launch(jobs[0], *range(150))
    driver.launch(jobs[1])
    driver.launch(jobs[0], *range(150, 300))
    assert [o.failure for o in driver.ended(jobs[0], 300) if o.failure] == []
    assert driver.ended(jobs[1])[0].failure.cause == "signal"


def test_an_input_that_cannot_be_read_is_not_the_functions_fault(driver):
    job = driver.job("same", x=1)
    handle = msgspec.structs.replace(driver.artifacts.keep("z" * 10_000), digest="0" * 64)
    driver.launch(msgspec.structs.replace(job, args={"x": Constant(handle)}))
    failure = driver.ended(job)[0].failure
    assert failure.cause == "input"
    assert failure.problem.code == "artifact-missing"


def test_a_missing_task_says_so(driver):
    failure = driver.result("nowhere").failure
    assert failure.problem.code == "cannot-ship"


def test_a_closure_runs_from_its_code(driver):
    base = 40
    add = task(lambda x: base + x)
    ref = Shipment(driver.artifacts.keep, ship=True).ref(add)
    assert ref.code is not None
    job = msgspec.structs.replace(driver.job("same", x=2), task=ref)
    driver.launch(job)
    assert driver.value(driver.ended(job)[0]) == 42


def test_a_memory_limit_ends_the_task_with_figures(driver):
    for name in ("hog", "hog_at_once"):
        failure = driver.result(name, size=2_000_000_000, policy=Policy(memory=100_000_000)).failure
        assert failure.cause == "memory", failure
    assert driver.value(driver.result("hog", size=20_000_000, policy=Policy(memory=100_000_000))) == 19


def test_a_raised_limit_of_a_start_counts(driver):
    job = driver.job("hog", size=150_000_000, policy=Policy(memory=20_000_000))
    driver.run(_launch(driver, job, Start(0, 1, memory=600_000_000)))
    assert driver.ended(job)[0].failure is None


async def _launch(driver, job, start):
    driver.pool.launch(job, [start])


def test_a_fresh_attempt_has_a_process_of_its_own(driver):
    policy = Policy(isolation="fresh")
    pids = {driver.value(driver.result("who", policy=policy)) for _ in range(4)}
    assert len(pids) == 4
    outcome = driver.result("who", policy=policy)
    assert outcome.failure is None


def test_a_warm_worker_keeps_its_process(driver):
    assert len({driver.value(driver.result("who")) for _ in range(6)}) <= 2


def test_thousands_of_async_tasks_wait_at_once(driver):
    job = driver.job("naps", mapped=2000, policy=Policy(executor="async"))
    driver.launch(job, *range(2000))
    assert sorted(driver.value(o) for o in driver.ended(job, 2000)) == list(range(2000))


def test_an_async_task_is_cancelled(driver, tmp_path):
    job = driver.job("naps_for_ever", sign=str(tmp_path / "s"), policy=Policy(executor="async"))
    driver.launch(job)
    driver.file("s")
    driver.stop(job)
    assert driver.ended(job)[0].failure.cause == "cancelled"


def test_thread_and_inline_tasks_run(driver):
    assert driver.value(driver.result("threaded", x=1, policy=Policy(executor="thread"))) is False
    assert driver.value(driver.result("same", x=1, policy=Policy(executor="inline"))) == 1


def test_a_thread_that_is_stopped_is_told_of_at_once(driver, tmp_path):
    job = driver.job("hangs", sign=str(tmp_path / "s"), policy=Policy(executor="thread"))
    driver.launch(job)
    driver.file("s")
    driver.stop(job, cause="timeout")
    assert driver.ended(job)[0].failure.cause == "timeout"


def test_what_code_says_of_itself_is_reported_before_its_end(driver):
    job = driver.job("notes")
    driver.launch(job)
    outcome = driver.ended(job)[0]
    told = [report for report in driver.reports if isinstance(report, Note)]
    assert [(note.kind, note.name, note.value) for note in told[:3]] == [
        ("metric", "auc", 0.5), ("progress", "progress", 0.25), ("link", "there", "https://example.com"),
    ]  # fmt: skip
    assert driver.artifacts.load(told[3].handle) == "# done"
    assert driver.value(outcome)[:2] == ["run", 1]


def test_the_idempotency_key_is_the_same_for_every_attempt(driver):
    job = driver.job("notes")
    for attempt in (1, 2):
        driver.launch(job, 0, attempt=attempt)
        driver.ended(job, attempt)
    first, second = (driver.value(o) for o in driver.outcomes(job))
    assert first[2] == second[2]
    assert (first[1], second[1]) == (1, 2)


def test_a_backoff_function_is_asked_in_the_worker(driver):
    failure = driver.result("asks_for_a_wait", policy=Policy(retries=1, backoff=Backoff(kind="callable"))).failure
    assert failure.retry_after == 7.5


def test_questions_about_values_are_answered(driver):
    of = (At(driver.artifacts.keep([1, 2])), Several("dict", (At(driver.artifacts.keep(0)),), ("k",)))

    async def ask():
        driver.pool.ask(Question(id="a", want="truth", of=of))
        driver.pool.ask(Question(id="b", want="shape", of=of))

    driver.run(ask())
    driver.until(lambda: len([r for r in driver.reports if isinstance(r, Answer)]) == 2)
    truth, shape = (r for r in driver.reports if isinstance(r, Answer))
    assert truth.truths == (True, True)
    assert (shape.lengths, shape.keys) == ((2, 1), (None, ("k",)))


def test_a_driver_calls_tasks_and_catches_their_errors(driver):
    from tidemill.graph.work import CallMade, Failure

    job = driver.job("grows", n=3, driver=True, policy=Policy(executor="thread"))
    driver.launch(job)
    for turn in range(4):
        driver.until(lambda turn=turn: len([r for r in driver.reports if isinstance(r, CallMade)]) > turn)
        call = [r for r in driver.reports if isinstance(r, CallMade)][turn]
        failure = Failure(cause="error", type="builtins.KeyError", message="'x'") if turn == 3 else None
        result = None if failure else At(driver.artifacts.keep(turn))
        driver.run(_reply(driver, call, result, failure))
    assert driver.value(driver.ended(job)[0]) == 103


async def _reply(driver, call, result, failure):
    driver.pool.reply(call.job, call.node.key, result, failure)


def test_the_reference_of_a_job_is_found_by_import():
    assert Job(id="a/b", run="a", flow="f", place="b", task=TaskRef("m", "q")).task.name == "m:q"

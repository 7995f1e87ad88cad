"""Processes that are killed, stopped or will not end, and nothing that stays behind."""

from __future__ import annotations

import os
import signal

from tidemill.graph.policy import Policy


def begin(driver, tmp_path, name, **policy):
    job = driver.job(name, sign=str(tmp_path / "sign"), policy=Policy(**policy))
    driver.launch(job)
    return job, [int(word) for word in driver.file("sign").split()]


def test_a_cancelled_attempt_is_told_when_its_process_is_dead(driver, tmp_path):
    job, (pid,) = begin(driver, tmp_path, "hangs")
    driver.stop(job)
    assert driver.ended(job)[0].failure.cause == "cancelled"
    assert not driver.living(pid)


def test_a_timeout_is_told_as_one(driver, tmp_path):
    job, _ = begin(driver, tmp_path, "hangs")
    driver.stop(job, cause="timeout")
    assert driver.ended(job)[0].failure.cause == "timeout"


def test_finally_blocks_run_when_a_task_is_cancelled(driver, tmp_path):
    job, _ = begin(driver, tmp_path, "cleans_up")
    driver.stop(job)
    driver.ended(job)
    assert (tmp_path / "sign.cleaned").read_text() == "cleaned"


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(make_driver, tmp_path):
    driver = make_driver(grace=0.2)
    job, (pid,) = begin(driver, tmp_path, "ignores_sigterm")
    driver.stop(job)
    failure = driver.ended(job)[0].failure
    assert (failure.cause, failure.signal) == ("cancelled", signal.SIGKILL)
    assert not driver.living(pid)


def test_grandchildren_end_with_their_task_also_those_in_sessions_of_their_own(driver, tmp_path):
    job, pids = begin(driver, tmp_path, "has_children")
    driver.stop(job)
    driver.ended(job)
    assert all(driver.gone(pid) for pid in pids)


def test_starts_behind_a_cancelled_one_run_elsewhere(make_driver, tmp_path):
    driver = make_driver(slots=1)
    short = driver.job("waits_for", mapped=300, sign=str(tmp_path / "sign"))
    driver.launch(short, *range(1, 300))
    driver.ended(short, 299)
    os.mkfifo(tmp_path / "sign.go")
    again = driver.job("waits_for", mapped=20, sign=str(tmp_path / "sign"))
    driver.launch(again, *range(20))
    driver.file("sign")
    driver.stop(again)
    outcomes = {outcome.n: outcome for outcome in driver.ended(again, 20)}
    assert outcomes[0].failure.cause == "cancelled"
    assert [n for n, outcome in outcomes.items() if outcome.failure] == [0]


def test_what_waits_behind_a_long_task_is_taken_back_for_an_idle_worker(driver, tmp_path):
    short = driver.job("waits_for", mapped=300, sign=str(tmp_path / "sign"))
    driver.launch(short, *range(1, 300))
    driver.ended(short, 299)
    os.mkfifo(tmp_path / "sign.go")
    again = driver.job("waits_for", mapped=20, sign=str(tmp_path / "sign"))
    driver.launch(again, *range(20))
    driver.ended(again, 19)  # all but the one that waits for its pipe
    assert 0 not in {outcome.n for outcome in driver.outcomes(again)}
    (tmp_path / "sign.go").write_bytes(b"go")
    driver.ended(again, 20)


def test_a_start_that_waits_is_cancelled_without_a_process(make_driver, tmp_path):
    driver = make_driver(slots=1)
    job, (pid,) = begin(driver, tmp_path, "hangs")
    waiting = driver.job("same", x=1)
    driver.launch(waiting)
    driver.stop(waiting)
    assert "before it began" in driver.ended(waiting)[0].failure.message
    assert driver.living(pid)
    driver.stop(job)
    driver.ended(job)


def test_a_killed_worker_is_a_signal(driver, tmp_path):
    job, (pid,) = begin(driver, tmp_path, "hangs")
    os.kill(pid, signal.SIGKILL)
    failure = driver.ended(job)[0].failure
    assert (failure.cause, failure.signal) == ("signal", signal.SIGKILL)


def test_a_worker_that_stands_still_longer_than_its_lease_is_lost(make_driver, tmp_path):
    driver = make_driver(lease=0.3)
    job, (pid,) = begin(driver, tmp_path, "hangs")
    os.kill(pid, signal.SIGSTOP)
    failure = driver.ended(job)[0].failure
    assert failure.cause == "lost"
    assert "stood still" in failure.message
    assert not driver.living(pid)


def test_a_worker_that_stands_still_for_a_moment_goes_on(make_driver, tmp_path):
    driver = make_driver(lease=5.0)
    os.mkfifo(tmp_path / "s.go")
    job = driver.job("waits_for", x=0, sign=str(tmp_path / "s"))
    driver.launch(job)
    driver.file("s")
    pid = next(pid for pid in driver.pool._supervision.current.pids.values() if pid)
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)
    (tmp_path / "s.go").write_bytes(b"go")
    assert driver.value(driver.ended(job)[0]) == 0


def test_after_the_supervisor_is_killed_attempts_are_lost_and_work_goes_on(driver, tmp_path):
    job, (pid,) = begin(driver, tmp_path, "hangs")
    driver.pool._supervision.current.process.kill()
    assert driver.ended(job)[0].failure.cause == "lost"
    assert driver.gone(pid)
    assert driver.value(driver.result("same", x=5)) == 5


def test_grandchildren_of_a_killed_supervisor_end_too(driver, tmp_path):
    job, pids = begin(driver, tmp_path, "has_children")
    driver.pool._supervision.current.process.kill()
    driver.ended(job)
    assert all(driver.gone(pid) for pid in pids)


def test_a_supervisor_that_stands_still_is_replaced(make_driver, tmp_path):
    driver = make_driver(lease=0.6)
    job, (pid,) = begin(driver, tmp_path, "hangs")
    os.kill(driver.pool._supervision.current.process.pid, signal.SIGSTOP)
    assert driver.ended(job)[0].failure.cause == "lost"
    assert driver.gone(pid)
    assert driver.value(driver.result("same", x=6)) == 6


def test_nothing_is_left_after_close(make_driver, tmp_path):
    driver = make_driver()
    _, pids = begin(driver, tmp_path, "has_children")
    ignoring = driver.job("ignores_sigterm", sign=str(tmp_path / "other"))
    driver.launch(ignoring)
    pids.append(int(driver.file("other")))
    supervisor = driver.pool._supervision.current.process.pid
    pids += [supervisor, *driver.pool._supervision.current.pids.values()]
    driver.run(driver.pool.close(grace=0.3))
    assert [pid for pid in pids if not driver.gone(pid)] == []


def test_workers_are_replaced_after_so_many_tasks(make_driver):
    driver = make_driver(slots=1)
    driver.pool._recycle_after = 3
    pids = [driver.value(driver.result("who")) for _ in range(9)]
    assert len(set(pids)) == 3

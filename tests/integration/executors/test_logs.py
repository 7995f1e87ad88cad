"""What attempts print, on disk: whose it is, masked, bounded."""

from __future__ import annotations

import pytest

from tidemill.executors.logs import attempts_with_logs, follow, read
from tidemill.executors.places import AttemptId
from tidemill.graph.policy import Policy


def texts(lines):
    return [line.text for line in lines]


def test_all_ways_to_write_are_heard_in_order(driver):
    job = driver.job("talks")
    driver.launch(job)
    lines = driver.log(job, lambda lines: len(lines) == 6)
    assert [(line.source, line.text) for line in lines] == [
        ("out", "from print"), ("err", "from stderr"), ("INFO", "shop: from logging"),
        ("out", "from the descriptor"), ("out", "from a child"), ("out", "unfinished"),
    ]  # fmt: skip


def test_each_attempt_has_its_own_log_and_silent_ones_have_none(driver):
    talking, silent = driver.job("talks"), driver.job("silent")
    driver.launch(silent)
    for attempt in (1, 2):
        driver.launch(talking, attempt=attempt)
        driver.ended(talking, attempt)
    second = AttemptId("run", talking.place, 0, 2)
    driver.until(lambda: len(list(read(driver.home, second))) == 6)
    assert len(driver.log(talking)) == 6
    assert [(log.place, log.attempt) for log in attempts_with_logs(driver.home, "run")] == [(talking.place, 1), (talking.place, 2)]


@pytest.mark.parametrize(("name", "policy"), [("naps", Policy(executor="async")), ("threaded", Policy(executor="thread"))])
def test_attempts_that_share_a_process_are_told_apart(driver, name, policy):
    job = driver.job(name, mapped=20, policy=policy)
    driver.launch(job, *range(20))
    driver.ended(job, 20)
    for n in range(20):
        lines = driver.log(job, n=n)
        assert [line.text.split()[-1] for line in lines] == [str(n)]


def test_bytes_that_are_no_text_are_kept_and_shown_harmlessly(driver):
    job = driver.job("prints_bytes")
    driver.launch(job)
    assert texts(driver.log(job)) == ["a\\x00b\\xff\\xfe\\x1b]0;title\\x07"]


def test_a_log_beyond_its_quota_is_cut_and_says_by_how_much(make_driver):
    driver = make_driver(log_quota=100_000, slots=1)
    job = driver.job("floods", size=2_000_000)
    driver.launch(job)
    driver.ended(job)
    driver.launch(driver.job("silent"))  # the next attempt closes the log of the one before
    lines = driver.log(job, lambda lines: "missing" in lines[-1].text if lines else False)
    kept = sum(len(line.text) + 1 for line in lines if line.source == "out")
    assert sum(line.source == "gap" for line in lines) == 2
    assert kept < 100_000
    (path,) = (driver.home / "logs" / "run").glob("floods*")
    assert path.stat().st_size < 101_000


def test_a_flood_does_not_keep_the_supervisor_from_its_work(driver):
    flood = driver.job("floods", size=60_000_000)
    driver.launch(flood)
    for _ in range(5):
        assert driver.result("who", policy=Policy(isolation="fresh")).failure is None
    driver.ended(flood)


def test_endless_lines_are_split(driver):
    job = driver.job("long_line", size=3_000_000)
    driver.launch(job)
    lines = driver.log(job, lambda lines: sum(len(line.text) for line in lines) == 3_000_000)
    assert len(lines) > 2


def test_secrets_are_masked_in_logs_errors_and_previews_also_when_split(make_driver, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "s3cret-token-42")
    driver = make_driver()
    job = driver.job("leaks", resources=("shop",))
    driver.launch(job)
    failure = driver.ended(job)[0].failure
    assert failure.message == "bad token ***"
    assert "s3cret" not in failure.traceback
    lines = driver.log(job, lambda lines: len(lines) >= 4)
    assert texts(lines) == ["the token is ***", "split *** end", "***", "root: log ***"]
    shown = driver.result("shown", resources=("shop",))
    assert shown.handle.preview == "<***>" or "***" in shown.handle.preview


def test_places_never_leave_the_folder_of_the_run(driver):
    import msgspec

    job = msgspec.structs.replace(driver.job("talks"), place="../../../etc/passwd", id="run/../x")
    driver.launch(job)
    driver.ended(job)
    driver.log(job)
    assert not (driver.home.parent / "etc").exists()
    assert len(list((driver.home / "logs" / "run").iterdir())) == 1


def test_the_last_lines_are_found_and_a_log_can_be_followed(driver):
    job = driver.job("floods", size=1_000_000)
    driver.launch(job)
    driver.ended(job)
    driver.log(job, lambda lines: len(lines) == 10_000)
    whose = AttemptId("run", job.place, 0, 1)
    assert len(list(read(driver.home, whose, tail=7))) == 7
    assert len(list(follow(driver.home, whose, ended=lambda: True))) == 10_000
    assert len(list(follow(driver.home, whose, ended=lambda: True, tail=3))) == 3

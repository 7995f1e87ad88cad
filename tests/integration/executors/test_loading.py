"""Projects that can be loaded, and those that cannot: each tells what is wrong and where."""

from __future__ import annotations

import pytest

from tidemill.errors import Problem
from tidemill.graph.policy import Policy
from tidemill.graph.work import Room

GOOD = "from tidemill import task, flow\n@task\ndef one(): return {value}\n@flow\ndef only(): return one()\n"


def test_a_graph_is_built_in_the_projects_process(driver):
    graph, place = driver.run(driver.pool.build("small", {"a": "3"}))
    assert [node.key for node in graph.nodes] == ["same", "same-2"]
    assert driver.artifacts.load(graph.params["a"]) == 3
    assert "faults.py:" in place


def test_a_bad_parameter_an_unknown_flow_and_a_failing_body_are_problems(driver):
    for flow, raw, code in [("small", {"a": "x"}, "bad-parameter"), ("smal", {}, "unknown-name"), ("explodes", {}, "flow-failed")]:
        with pytest.raises(Problem) as caught:
            driver.run(driver.pool.build(flow, raw))
        assert caught.value.report().code == code
    assert "faults.py:" in caught.value.where


def test_the_project_is_described(driver):
    told = driver.run(driver.pool.describe())
    assert {flow["name"] for flow in told["flows"]} == {"small", "explodes", "grows"}
    assert [resource["name"] for resource in told["resources"]] == ["shop"]


@pytest.mark.parametrize(
    ("source", "code", "said", "line"),
    [
        ("import tidemill\n\nraise ValueError('broken')\n", "cannot-import", "ValueError: broken", 3),
        ("import tidemill\ndef f(:\n", "cannot-import", "SyntaxError", 2),
        ("import tidemill\nimport no_such_module\n", "cannot-import", "no_such_module", 2),
        ("import tidemill, sys\nsys.exit(2)\n", "cannot-import", "exit", 2),
        ("import os\nos._exit(7)\n", "load-exit", "exit code 7", None),
        ("import ctypes\nctypes.string_at(0)\n", "load-exit", "SIGSEGV", None),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(make_driver, tmp_path, source, code, said, line):
    file = tmp_path / "broken.py"
    file.write_text(source)
    driver = make_driver(file)
    with pytest.raises(Problem) as caught:
        driver.run(driver.pool.build(None, {}))
    report = caught.value.report()
    assert report.code == code
    assert said in report.what
    if line:
        assert report.where == f"{file}:{line}"
    failure = driver.result("broken:one").failure
    assert failure.problem.code == code


def test_a_module_that_hangs_at_import_is_shown_where(make_driver, tmp_path):
    file = tmp_path / "slow.py"
    file.write_text("import time\nimport tidemill\n\ntime.sleep(1000)\n")
    driver = make_driver(file, load_timeout=1.0)
    with pytest.raises(Problem) as caught:
        driver.run(driver.pool.build(None, {}))
    assert caught.value.report().code == "load-timeout"
    assert caught.value.where == f"{file}:4"


def test_a_module_that_prints_disturbs_nobody(make_driver, tmp_path, capfd):
    file = tmp_path / "noisy.py"
    file.write_text("print('hello')\n" + GOOD.format(value=1))
    driver = make_driver(file)
    assert driver.run(driver.pool.build(None, {}))[0].flow == "only"
    assert "hello" in (driver.home / "logs" / "project.log").read_text()
    assert capfd.readouterr().out == ""


def test_a_folder_takes_the_files_that_speak_of_us(make_driver, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.py").write_text(GOOD.format(value=1))
    (folder / "other.py").write_text("raise RuntimeError\n")
    driver = make_driver(folder)
    assert driver.run(driver.pool.build(None, {}))[0].flow == "only"


def test_an_empty_folder_says_what_to_do(make_driver, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    driver = make_driver(folder)
    with pytest.raises(Problem) as caught:
        driver.run(driver.pool.build(None, {}))
    assert caught.value.report().code == "no-project"


def test_a_project_with_threads_is_not_forked_and_works(make_driver, tmp_path):
    file = tmp_path / "threads.py"
    file.write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n" + GOOD.format(value=11)
    )
    driver = make_driver(file)
    assert driver.run(driver.pool.build(None, {}))[0].flow == "only"
    assert "threads" in driver.pool._supervision.current.loaded.unforkable
    assert driver.value(driver.result("threads:one")) == 11
    assert driver.value(driver.result("threads:one", policy=Policy(isolation="fresh"))) == 11


def test_new_code_is_taken_while_the_old_ends(make_driver, tmp_path):
    file = tmp_path / "changing.py"
    file.write_text(GOOD.format(value=1))
    driver = make_driver(file)
    assert driver.value(driver.result("changing:one")) == 1
    old = driver.pool._supervision.current.process
    file.write_text(GOOD.format(value=22222))
    driver.run(driver.pool.reload())
    assert driver.value(driver.result("changing:one")) == 22222
    driver.until(lambda: old.poll() is not None)


def test_broken_new_code_leaves_the_old_running(make_driver, tmp_path):
    file = tmp_path / "changing.py"
    file.write_text(GOOD.format(value=1))
    driver = make_driver(file)
    driver.run(driver.pool.build(None, {}))
    file.write_text("import tidemill\nraise ValueError\n")
    with pytest.raises(Problem):
        driver.run(driver.pool.reload())
    assert driver.value(driver.result("changing:one")) == 1


def test_room_is_told_once_the_project_is_there(driver):
    driver.until(lambda: any(isinstance(report, Room) for report in driver.reports))
    assert driver.pool.room(Policy(), "new:task") == 2


def test_a_resource_is_started_once_and_closed_with_its_worker(make_driver, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "s3cret-token-42")
    driver = make_driver(settings={"shop": {"folder": str(tmp_path)}})
    assert driver.result("shown", resources=("shop",)).failure is None
    driver.run(driver.pool.close(grace=2.0))
    assert (tmp_path / "closed").read_text() == "closed"


def test_a_resource_that_does_not_start_fails_the_attempt_clearly(make_driver):
    driver = make_driver(settings={"shop": {"folder": "broken"}})
    failure = driver.result("shown", resources=("shop",)).failure
    assert failure.cause == "error"
    assert failure.problem.code == "resource-failed"
    assert "no such shop" in failure.problem.why

"""From an empty folder through run, look, fail, mend, retry and replay: what each command says, and its exit code."""

from __future__ import annotations

import pytest

from command_line import Folder

FAILING = """
from pathlib import Path
from tidemill import flow, task, when

@task
def files(n: int) -> list[int]:
    return list(range(n))

@task
def load(i: int) -> int:
    print("loading", i)
    if i == 3 and not Path("mended").exists():
        raise ValueError(f"bad row {i}")
    return i * 2

@task
def total(xs: list[int]) -> int:
    return sum(xs)

@task
def big(x: int) -> bool:
    return x > 1000

@task
def alert() -> str:
    return "alert"

@flow
def nightly(n: int = 5):
    t = total(load.map(files(n)))
    with when(big(t)):
        alert()
    return t
"""


@pytest.fixture
def failing(folder: Folder) -> Folder:
    folder.write(FAILING)
    return folder


def test_a_first_run_prints_what_the_flow_returns_and_nothing_else(three: Folder) -> None:
    done = three.tidemill("run", "pipeline.py")
    assert done.stdout == "60\n"
    lines = [line.split("] ", 1)[-1] for line in done.stderr.splitlines()]
    assert "● load started: 3 items" in lines
    assert any(line.startswith("✓ total succeeded in") for line in lines)
    assert ": 5 succeeded." in lines[-1]
    three.all_is_well()


def test_the_state_is_private_and_beside_the_project(three: Folder) -> None:
    three.tidemill("run")
    home = three.path / ".tidemill"
    assert home.stat().st_mode & 0o077 == 0
    assert (home / ".gitignore").read_text() == "*\n"


def test_a_run_as_json_has_its_state_tasks_and_value(three: Folder) -> None:
    done = three.tidemill("run", "--json", "--bonus", "1")
    found = done.json
    assert done.stderr == ""
    assert (found["flow"], found["state"], found["output"], found["counts"]) == ("nightly", "succeeded", 60, {"succeeded": 5})
    assert found["params"] == {"bonus": "1"}
    assert [(task["name"], task["state"]) for task in sorted(found["tasks"], key=lambda task: task["started_at"])] == [
        ("extract", "succeeded"),
        ("load", "succeeded"),
        ("total", "succeeded"),
    ]
    assert found["tasks"][1]["size"] == 3
    assert found["failures"] == []


def test_runs_are_listed_newest_first_filtered_and_page_by_page(three: Folder) -> None:
    for _ in range(3):
        three.tidemill("run")
    first = three.tidemill("runs", "--json", "--limit", "2").json
    rest = three.tidemill("runs", "--json", "--limit", "2", "--after", first["after"]).json
    ids = [run["id"] for run in first["runs"] + rest["runs"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3
    assert rest["after"] is None
    assert three.tidemill("runs", "--json", "--state", "failed").json["runs"] == []
    assert len(three.tidemill("runs", "--json", "--flow", "nightly", "--since", "1h").json["runs"]) == 3
    assert "Did you mean 'failed'?" in three.tidemill("runs", "--state", "fialed", code=2).stderr


def test_a_run_is_shown_task_by_task_and_a_map_item_by_item(three: Folder) -> None:
    three.tidemill("run")
    shown = three.tidemill("show", "last").stdout.splitlines()
    rows = shown[shown.index("") + 2 :]
    assert [line.split()[:2] for line in rows[:3]] == [["extract", "succeeded"], ["load", "succeeded"], ["total", "succeeded"]]
    assert shown[-1] == "returned: 60"
    items = three.tidemill("show", "last", "load", "--json").json
    assert [(item["name"], item["output"]["preview"]) for item in items["items"]] == [
        ("load[0]", "10"),
        ("load[1]", "20"),
        ("load[2]", "30"),
    ]
    assert "returned builtins.int" in three.tidemill("show", "last", "load[1]").stdout


def test_logs_are_told_by_task_by_run_and_by_attempt(three: Folder) -> None:
    three.tidemill("run")
    assert three.tidemill("logs", "last", "extract").stdout.endswith(" extracting\n")
    lines = three.tidemill("logs", "last").stdout.splitlines()
    assert sorted(line.split(" ", 1)[1] for line in lines) == [
        "[extract] extracting",
        "[load[0]] loading 1",
        "[load[1]] loading 2",
        "[load[2]] loading 3",
    ]
    assert three.tidemill("logs", "last", "load[2]", "--json").json["text"] == "loading 3"
    assert "There is no attempt named '7'" in three.tidemill("logs", "last", "extract", "--attempt", "7", code=2).stderr
    assert three.tidemill("logs", "last", "total").stderr == "total printed nothing in attempt 1.\n"


def test_a_failure_is_told_with_the_users_frames_and_where_to_look(failing: Folder) -> None:
    done = failing.tidemill("run", code=1)
    assert done.stdout == ""
    assert "load[3] failed (error): ValueError: bad row 3" in done.stderr
    assert f'File "{failing.path}/pipeline.py", line 13, in load' in done.stderr
    assert "site-packages" not in done.stderr
    run = failing.tidemill("runs", "--json").json["runs"][0]
    assert f"tidemill logs {run['id']} 'load[3]'" in done.stderr
    assert f"tidemill retry {run['id']}" in done.stderr
    assert run["because"] == "load[3]: bad row 3"
    failing.all_is_well()


def test_a_blocked_task_is_explained_down_to_its_cause(failing: Folder) -> None:
    failing.tidemill("run", code=1)
    told = failing.tidemill("explain", "last", "alert").stdout
    assert "It could not run: big was blocked." in told
    assert "The cause is load: ValueError: bad row 3" in told
    found = failing.tidemill("explain", "last", "load[3]", "--json").json
    assert found["state"] == "failed"
    assert found["inputs"][0]["source"] == "item 3 of files"


def test_a_retry_runs_what_failed_and_reuses_the_rest(failing: Folder) -> None:
    failing.tidemill("run", "--n", "6", code=1)
    failing.write("", "mended")
    done = failing.tidemill("retry", "last", "--json").json
    assert (done["state"], done["output"], done["counts"]) == ("succeeded", 30, {"succeeded": 3, "reused": 6, "skipped": 1})
    assert done["retry_of"]
    assert "It was made as a retry of run" in failing.tidemill("explain", "last").stdout
    assert "it runs only when big is true, and it was false" in failing.tidemill("explain", "last", "alert").stdout
    failing.all_is_well()


def test_a_retry_takes_the_code_of_today_and_other_parameters(failing: Folder) -> None:
    failing.tidemill("run", code=1)
    failing.write(FAILING.replace("i == 3", "i == 33"))
    assert failing.tidemill("retry", "last").stdout == "20\n"
    assert failing.tidemill("retry", "last", "--n", "3").stdout == "6\n"
    assert "there is nothing to retry" in failing.tidemill("retry", "last", code=2).stderr
    again = failing.tidemill("retry", "last", "--from", "load", "--json").json
    assert again["counts"] == {"succeeded": 5, "reused": 1, "skipped": 1}
    assert "There is no task named 'laod'" in failing.tidemill("retry", "last", "--from", "laod", code=2).stderr


def test_a_replay_has_the_inputs_of_then_and_changes_nothing(failing: Folder) -> None:
    failing.tidemill("run", code=1)
    before = failing.tidemill("show", "last", "--json").stdout
    failed = failing.tidemill("replay", "last", "load[3]", code=1)
    assert "ValueError: bad row 3" in failed.stderr
    assert "load[3] failed here, as it did then" in failed.stderr
    same = failing.tidemill("replay", "last", "load[2]")
    assert same.stdout.endswith("4\n")
    assert "returned the same as in run" in same.stderr
    failing.write(FAILING.replace("i * 2", "i * 5"))
    found = failing.tidemill("replay", "last", "load[2]", "--json")
    assert '"same": false' in found.stdout
    assert "load is many tasks" in failing.tidemill("replay", "last", "load", code=2).stderr
    assert "total never ran in run" in failing.tidemill("replay", "last", "total", code=2).stderr
    assert failing.tidemill("show", "last", "--json").stdout == before


def test_a_plan_tells_order_sizes_and_times_and_changes_nothing(three: Folder) -> None:
    plan = three.tidemill("plan", "--json").json
    assert [(step["key"], step.get("size")) for step in plan["steps"]] == [("extract", None), ("load", None), ("total", None)]
    assert "There are no such runs." in three.tidemill("runs", TIDEMILL_DATABASE_URL="memory://").stderr
    three.tidemill("run")
    told = three.tidemill("plan").stdout
    assert "load ×3 last time" in told
    assert "Critical path" in told
    assert len(three.tidemill("runs", "--json").json["runs"]) == 1


def test_ls_lists_flows_with_parameters_and_tasks_with_their_places(three: Folder) -> None:
    told = three.tidemill("ls").stdout
    assert "flow nightly(bonus: int = 0)  pipeline.py:" in told
    assert "--bonus  integer (default 0)" in told
    assert "    All of it." in told
    assert "task extract() -> list[int]  pipeline.py:" in told
    found = three.tidemill("ls", "--json").json
    assert [task["name"] for task in found["tasks"]] == ["extract", "load", "total"]


def test_refresh_computes_again_what_cache_remembers(folder: Folder) -> None:
    folder.write(
        "from tidemill import flow, task\n\n@task(cache='1d')\ndef slow() -> int:\n    print('computed')\n    return 1\n\n"
        "@flow\ndef f():\n    return slow()\n"
    )
    assert folder.tidemill("run", "--json").json["counts"] == {"succeeded": 1}
    assert folder.tidemill("run", "--json").json["counts"] == {"reused": 1}
    assert "computed before, in run" in folder.tidemill("explain", "last", "slow").stdout
    assert folder.tidemill("run", "--refresh", "--json").json["counts"] == {"succeeded": 1}


def test_gc_forgets_old_runs_with_their_logs_and_values(folder: Folder) -> None:
    folder.write(
        "from tidemill import flow, task\n\n@task\ndef text(n: int) -> str:\n    print('made')\n    return str(n) * 20000\n\n"
        "@flow\ndef f(n: int):\n    return text(n)\n"
    )
    for n in range(3):
        folder.tidemill("run", "--n", str(n))
    env = {"TIDEMILL_RETENTION": "0s", "TIDEMILL_RETENTION_RUNS": "1", "TIDEMILL_OUTAGE": "0s"}
    would = folder.tidemill("gc", "--dry-run", "--json", **env).json
    assert len(would["runs"]) == 2
    assert len(folder.tidemill("runs", "--json").json["runs"]) == 3
    freed = folder.tidemill("gc", "--json", **env).json
    assert freed["runs"] == would["runs"] or sorted(freed["runs"]) == sorted(would["runs"])
    assert (freed["logs"], freed["values"]) == (2, 2)
    assert freed["value_bytes"] > 40_000
    assert len(folder.tidemill("runs", "--json").json["runs"]) == 1
    assert folder.tidemill("gc", "--json", **env).json["runs"] == []
    folder.all_is_well()


def test_doctor_finds_a_value_that_was_damaged(folder: Folder) -> None:
    folder.write(
        "from tidemill import flow, task\n\n@task\ndef text() -> str:\n    return 'x' * 20000\n\n@flow\ndef f():\n    return text()\n"
    )
    folder.tidemill("run")
    folder.all_is_well()
    (value,) = [path for path in (folder.path / ".tidemill" / "artifacts").glob("??/*") if path.is_file()]
    value.chmod(0o600)
    value.write_bytes(b"y" * 20002)
    done = folder.tidemill("doctor", code=1)
    assert "value-unreadable" in done.stdout
    assert "the result of text" in done.stdout
    assert done.stderr == "1 promise is broken.\n"


def test_mistakes_are_told_as_what_why_and_mend_without_a_traceback(three: Folder) -> None:
    three.tidemill("run")
    for words, what, mend in [
        (("rnu",), "There is no command named 'rnu'.", "Did you mean 'run'?"),
        (("run", "nightli"), "There is no flow named 'nightli'.", "Did you mean 'nightly'?"),
        (("run", "pipelin.py"), "There is no pipelin.py.", "Did you mean pipeline.py?"),
        (("run", "--bonsu", "1"), "The flow 'nightly' has no parameter 'bonsu'.", "Did you mean 'bonus'?"),
        (("run", "--bonus", "many"), "The parameter 'bonus' of the flow 'nightly' takes int, and was given 'many'.", ""),
        (("show", "lats"), "There is no run named 'lats'.", "Did you mean 'last'?"),
        (("explain", "last", "totl"), "There is no task named 'totl'.", "Did you mean 'total'?"),
    ]:
        said = three.tidemill(*words, code=2).stderr
        assert what in said
        assert mend in said
        assert "Traceback" not in said


def test_a_module_that_cannot_be_imported_is_named_with_its_line(folder: Folder) -> None:
    folder.write("from tidemill import flow\nimport nowhere_at_all\n")
    said = folder.tidemill("run", code=2).stderr
    assert "error[cannot-import]" in said
    assert "pipeline.py:2" in said


def test_in_an_empty_folder_each_command_says_how_to_begin(folder: Folder) -> None:
    assert "There is no pipeline in" in folder.tidemill("run", code=2).stderr
    for words in (
        ("runs",),
        ("show", "last"),
        ("logs", "last"),
        ("explain", "last"),
        ("doctor",),
        ("gc",),
        ("cancel", "last"),
        ("replay", "last", "x"),
    ):
        assert "Nothing was run yet in" in folder.tidemill(*words, code=2).stderr
    assert list(folder.path.iterdir()) == []


def test_a_run_elsewhere_is_found_by_the_option_that_its_end_names(three: Folder) -> None:
    inner = three.path / "inner"
    inner.mkdir()
    (three.path / "pipeline.py").rename(inner / "pipeline.py")
    three.write("from tidemill import flow\n", "outer.py")
    run = three.tidemill("run", "inner/pipeline.py", "--json").json["id"]
    assert (inner / ".tidemill").is_dir()
    assert "--project inner" in three.tidemill("runs", code=2).stderr
    assert run in three.tidemill("runs", "--project", "inner").stdout
    assert three.tidemill("show", "last", "-C", "inner").stdout.endswith("returned: 60\n")


def test_help_names_every_command_in_words_of_its_own(folder: Folder) -> None:
    from tidemill.cli.app import COMMANDS, cli

    told = folder.tidemill("--help").stdout
    for name, what in COMMANDS.items():
        assert f"  {name} " in told
        own = cli.get_command(None, name)  # type: ignore[arg-type]
        assert own.help, name
        assert own.help.startswith(what.rstrip("."))
        assert folder.tidemill(name, "--help").stdout.startswith("Usage: tidemill")
    assert folder.tidemill("--version").stdout.startswith("tidemill, version ")

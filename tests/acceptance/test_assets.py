"""The example as assets, through the installed command: computed is only what has a reason, and published only what passes."""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from command_line import Folder, Told

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE = "birdstrikes_assets.py"
COMPUTED = ["by_month", "clean", "table", "totals"]


@pytest.fixture
def birds(folder: Folder) -> Folder:
    """The example in a folder of its own; of its data, split by year, the first three years are in the inbox."""
    shutil.copy(EXAMPLES / "birdstrikes_assets" / FILE, folder.path / FILE)
    edit(folder, '"../birdstrikes/data"', '"inbox"')
    (folder.path / "inbox").mkdir()
    for year in years()[:3]:
        arrives(folder, year)
    return folder


def reports() -> tuple[list[str], dict[str, list[list[str]]]]:
    with (EXAMPLES / "birdstrikes" / "data" / "birdstrikes.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    by_year = defaultdict(list)
    for row in rows:
        by_year[row[head.index("Flight Date")][:4]].append(row)
    return head, by_year


def years() -> list[str]:
    return sorted(reports()[1])


def arrives(folder: Folder, year: str) -> None:
    head, by_year = reports()
    with (folder.path / "inbox" / f"{year}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *by_year[year]])


def edit(folder: Folder, before: str, after: str) -> None:
    text = (folder.path / FILE).read_text()
    assert text.count(before) == 1, before
    folder.write(text.replace(before, after), FILE)


def done(told: Told) -> dict[str, str]:
    """What a run did: asset → state. Empty if there was nothing to do."""
    return {task["name"]: task["state"] for task in told.json.get("tasks", ())}


def computed(told: Told) -> list[str]:
    return sorted(name for name, state in done(told).items() if state == "succeeded")


def reasons(folder: Folder, *words: str) -> dict[str, Any]:
    """What a plan says: asset → why, of what is not as it should be."""
    plan = folder.tidemill("plan", "--json", *words).json
    return {one["name"]: "; ".join(one["because"]) for one in plan["decisions"] if one["state"] != "ok"}


def shown(folder: Folder, asset: str, env: str = "default") -> str:
    versions = folder.tidemill("show", asset, "--json", "--env", env).json["versions"]
    return next(one["version"] for one in versions if one["current"])


def stored(folder: Folder) -> dict[str, int]:
    """Every file of the values, with its size."""
    return {str(path): path.stat().st_size for path in (folder.path / ".tidemill" / "artifacts").rglob("*") if path.is_file()}


def test_the_first_run_computes_all_and_the_second_nothing(birds: Folder) -> None:
    assert computed(birds.tidemill("run", "--json")) == COMPUTED
    assert done(birds.tidemill("run", "--json")) == {}
    assert birds.tidemill("run").stderr == "5 assets are as they should be.\n"
    birds.all_is_well()


def test_a_comment_a_docstring_and_formatting_are_no_change(birds: Folder) -> None:
    birds.tidemill("run")
    edit(birds, "def did_damage() -> pl.Expr:\n", "# which ones\ndef did_damage() -> pl.Expr:\n")
    edit(birds, "One row per month: strikes,", "A row for each month: strikes,")
    edit(birds, 'is_in(["minor", "medium", "substantial"])', 'is_in(\n        ["minor", "medium", "substantial"]\n    )')
    assert reasons(birds) == {}
    assert done(birds.tidemill("run", "--json")) == {}


def test_a_helper_that_changed_is_named_and_only_what_uses_it_runs(birds: Folder) -> None:
    birds.tidemill("run")
    edit(birds, 'is_in(["minor", "medium", "substantial"])', 'is_in(["medium", "substantial"])')
    why = reasons(birds)
    assert why["by_month"] == "the code of birdstrikes_assets.did_damage changed"
    assert sorted(why) == ["by_month", "table", "totals"]
    assert why["totals"] == "input by_month may change"
    assert computed(birds.tidemill("run", "--json")) == ["by_month", "table", "totals"]
    assert "It was made because the code of birdstrikes_assets.did_damage changed." in birds.tidemill("explain", "by_month").stdout


def test_after_a_refactoring_with_the_same_result_what_follows_is_not_computed(birds: Folder) -> None:
    birds.tidemill("run")
    before = shown(birds, "by_month")
    edit(birds, '.sort("month")\n    )', '.sort(pl.col("month"))\n    )')
    told = done(birds.tidemill("run", "--json"))
    assert told == {"by_month": "succeeded", "table": "reused", "totals": "reused"}
    assert shown(birds, "by_month") == before
    assert done(birds.tidemill("run", "--json")) == {}


def test_a_check_that_fails_keeps_the_last_good_version_and_what_follows(birds: Folder) -> None:
    birds.tidemill("run")
    before = {name: shown(birds, name) for name in COMPUTED}
    edit(birds, '.sort("month")\n    )', '.sort("month")\n        .sample(50, with_replacement=True, seed=1)\n    )')
    failed = birds.tidemill("run", "--json", code=1)
    assert {name: state for name, state in done(failed).items() if state == "succeeded"} == {}
    assert {name: shown(birds, name) for name in COMPUTED} == before
    told = birds.tidemill("explain", "by_month").stdout
    assert "'by_month' did not pass its check: months_are_unique" in told
    assert "What is shown is the last version that passed." in told
    assert reasons(birds)["by_month"] == "the code of birdstrikes_assets.by_month changed"
    birds.all_is_well()


def test_a_file_that_arrives_is_observed_and_what_depends_on_it_runs(birds: Folder) -> None:
    birds.tidemill("run")
    arrives(birds, years()[3])
    assert "input raw has a new version" in reasons(birds)["clean"]
    assert computed(birds.tidemill("run", "--json")) == COMPUTED
    assert done(birds.tidemill("run", "--json")) == {}


def test_only_what_is_selected_runs_and_the_rest_is_as_it_is_shown(birds: Folder) -> None:
    assert computed(birds.tidemill("run", "--json", "+by_month")) == ["by_month", "clean"]
    assert computed(birds.tidemill("run", "--json", "by_month+", "--exclude", "table")) == ["totals"]
    assert list(reasons(birds)) == ["table"]
    assert list(reasons(birds, "--refresh", "tag:clean")) == ["clean"]


def test_a_branch_reuses_all_that_is_unchanged_at_zero_bytes(birds: Folder) -> None:
    birds.tidemill("run")
    before = stored(birds)
    birds.tidemill("env", "create", "dev")
    assert done(birds.tidemill("run", "--json", "--env", "dev")) == {}
    assert stored(birds) == before
    assert birds.tidemill("env", "diff", "default", "dev").stdout == "default and dev show the same.\n"


def test_a_change_on_a_branch_leaves_the_rest_alone_and_promoting_moves_pointers_only(birds: Folder) -> None:
    birds.tidemill("run")
    birds.tidemill("env", "create", "dev", "--from", "default")
    good = {name: shown(birds, name) for name in COMPUTED}
    edit(birds, 'is_in(["minor", "medium", "substantial"])', 'is_in(["medium", "substantial"])')
    assert computed(birds.tidemill("run", "--json", "--env", "dev")) == ["by_month", "table", "totals"]
    assert {name: shown(birds, name) for name in COMPUTED} == good
    changed = birds.tidemill("env", "diff", "default", "dev", "--json").json
    assert {one["asset"]: one["kind"] for one in changed} == dict.fromkeys(["by_month", "table", "totals"], "changed")
    assert changed[0]["because"] == ["the code of birdstrikes_assets.did_damage changed"]

    before, runs = stored(birds), len(birds.tidemill("runs", "--json").json["runs"])
    assert {one["asset"] for one in birds.tidemill("promote", "dev", "--plan", "--json").json["moves"]} == {"by_month", "table", "totals"}
    assert {name: shown(birds, name) for name in COMPUTED} == good
    assert "3 pointers of default moved." in birds.tidemill("promote", "dev").stdout
    assert stored(birds) == before
    assert len(birds.tidemill("runs", "--json").json["runs"]) == runs
    assert {name: shown(birds, name) for name in COMPUTED} == {name: shown(birds, name, "dev") for name in COMPUTED}
    assert done(birds.tidemill("run", "--json")) == {}
    birds.all_is_well()


def test_what_was_computed_from_other_data_is_not_promoted_but_listed_as_work(birds: Folder) -> None:
    birds.tidemill("run")
    birds.tidemill("env", "create", "dev")
    arrives(birds, years()[3])
    birds.tidemill("run", "--env", "dev")
    edit(birds, 'is_in(["minor", "medium", "substantial"])', 'is_in(["medium", "substantial"])')
    birds.tidemill("run", "--env", "dev")
    told = birds.tidemill("promote", "dev", "--json").json
    assert (told["moves"], told["moved"]) == ([], False)
    assert {one["name"] for one in told["work"]} == {"by_month", "table", "totals"}


def test_a_version_that_was_rolled_back_to_stays_until_something_changes(birds: Folder) -> None:
    birds.tidemill("run")
    good = shown(birds, "totals")
    edit(birds, '"months": by_month.height,', '"months": -by_month.height,')
    birds.tidemill("run")
    bad = shown(birds, "totals")
    assert bad != good
    birds.tidemill("promote", "totals", "--version", good[:8])
    assert shown(birds, "totals") == good
    assert done(birds.tidemill("run", "--json")) == {}
    assert "it was rolled back from" in reasons(birds)["totals"]
    assert f"It was rolled back from {bad[:12]}." in birds.tidemill("explain", "totals").stdout
    edit(birds, '"months": -by_month.height,', '"months": 2 * by_month.height,')
    assert computed(birds.tidemill("run", "--json")) == ["totals"]


def test_lists_say_what_each_asset_is_and_whether_it_is_as_it_should_be(birds: Folder) -> None:
    states = {one["name"]: one["state"] for one in birds.tidemill("ls", "--json").json["assets"]}
    assert states == {"raw": "never observed"} | dict.fromkeys(COMPUTED, "missing")
    birds.tidemill("run")
    edit(birds, '"months": by_month.height,', '"months": -by_month.height,')
    listed = {one["name"]: one for one in birds.tidemill("ls", "--json").json["assets"]}
    assert {name: one["state"] for name, one in listed.items()} == {
        "raw": "observed", "clean": "as it should be", "by_month": "as it should be", "table": "as it should be", "totals": "stale",
    }  # fmt: skip
    month = listed["by_month"]
    assert (month["inputs"], month["owner"], month["tags"]) == ({"clean": "clean"}, "safety", ["aggregate"])
    assert [check["name"] for check in month["checks"]] == ["months_are_unique"]
    text = birds.tidemill("ls").stdout
    assert "asset by_month  birdstrikes_assets.py:" in text
    assert "    from clean\n    checked by months_are_unique\n    owner safety, tag:aggregate\n" in text


def test_an_environment_must_be_there_and_the_nearest_is_guessed(birds: Folder) -> None:
    birds.tidemill("run")
    assert "Make it: tidemill env create dev" in birds.tidemill("run", "--env", "dev", code=2).stderr
    birds.tidemill("env", "create", "dev")
    assert "Did you mean 'dev'?" in birds.tidemill("plan", "--env", "de", code=2).stderr
    birds.tidemill("env", "drop", "dev")
    assert [one["name"] for one in birds.tidemill("env", "list", "--json").json] == ["default"]


def test_names_that_nothing_has_are_guessed(birds: Folder) -> None:
    birds.tidemill("run")
    assert "Did you mean 'totals'?" in birds.tidemill("explain", "total", code=2).stderr
    assert "Did you mean 'totals'?" in birds.tidemill("show", "total", code=2).stderr
    assert "'totals'" in birds.tidemill("plan", "+total", code=2).stderr
    assert "totals has no version that begins with 'zz'" in birds.tidemill("promote", "totals", "--version", "zz", code=2).stderr


def test_the_word_of_a_run_is_the_run_and_other_words_are_assets(birds: Folder) -> None:
    birds.tidemill("run")
    run = birds.tidemill("runs", "--json").json["runs"][0]["id"]
    assert birds.tidemill("explain", "last").stdout.startswith(f"Run {run} ")
    assert birds.tidemill("show", run[:12]).stdout.startswith(f"Run {run} ")
    assert birds.tidemill("explain", "totals").stdout.startswith("Asset totals in default.")
    story = birds.tidemill("explain", "totals", "--json").json
    assert [(one["depth"], one["asset"]) for one in story["origins"]] == [(1, "by_month"), (2, "clean"), (3, "raw")]
    assert birds.tidemill("explain", "by_month", "--json").json["readers"] == ["table", "totals"]

"""A failed run of assets is retried: what it made is reused, what failed is computed by the code of today."""

from __future__ import annotations

from command_line import Folder

TWO = """
from tidemill import asset

@asset
def one() -> int:
    return 1

@asset
def two(one: int) -> int:
    {body}
"""


def test_a_retry_of_a_run_of_assets_computes_what_failed_and_nothing_else(folder: Folder) -> None:
    folder.write(TWO.format(body="raise ValueError('not yet')"))
    folder.tidemill("run", code=1)
    folder.write(TWO.format(body="return one + 1"))
    told = folder.tidemill("retry", "last", "--json").json
    assert {task["name"]: task["state"] for task in told["tasks"]} == {"two": "succeeded"}
    again = folder.tidemill("retry", "last", "--from", "one", "--json").json
    assert {task["name"]: task["state"] for task in again["tasks"]} == {"one": "succeeded", "two": "succeeded"}
    folder.all_is_well()

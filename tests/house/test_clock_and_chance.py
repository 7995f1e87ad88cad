"""Time, chance and identity are arguments: few files may ask the machine for them, each for a reason."""

from __future__ import annotations

import re

import pytest
from source import PACKAGE, calls, place, python_files

ASKS = re.compile(
    r"(datetime\.)?datetime\.(now|utcnow|today)|(datetime\.)?date\.today"
    r"|time\.(time|monotonic|perf_counter|process_time)(_ns)?"
    r"|uuid\.uuid[1-8]|random\.\w+|secrets\.\w+|os\.urandom"
)
MAY = {
    "clock.py": "it is the clock",
    "executors": "they measure attempts and enforce deadlines where the work runs",
    "worker": "the same, inside the worker",
}


def offenders() -> list[str]:
    return [
        f"{place(path, node.lineno)} {name}"
        for path in python_files("src/tidemill")
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in {name.removesuffix(".py") for name in MAY}
        for name, node in calls(path)
        if ASKS.fullmatch(name)
    ]


def test_time_chance_and_identity_come_as_arguments() -> None:
    assert not offenders()


@pytest.mark.parametrize("name", ["time.time", "datetime.now", "datetime.datetime.now", "uuid.uuid4", "random.random", "time.monotonic_ns"])
def test_the_rule_knows_what_asks_the_machine(name: str) -> None:
    assert ASKS.fullmatch(name)

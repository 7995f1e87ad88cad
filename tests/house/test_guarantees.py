"""Every promise in the documentation names tests that exist."""

from __future__ import annotations

import re

from source import ROOT, functions

PAGE = ROOT / "docs" / "guarantees.md"


def test_every_promise_names_tests_and_all_of_them_exist() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)::(\w+)`", row)
        assert named, f"no test holds: {row}"
        missing = [f"{file}::{test}" for file, test in named if test not in {function.name for function in functions(ROOT / file)}]
        assert not missing


def test_the_internals_name_files_that_exist() -> None:
    page = (ROOT / "docs" / "internals.md").read_text(encoding="utf-8")
    engine = {path.name for path in (ROOT / "src/tidemill/engine").glob("*.py")} - {"__init__.py", "engine.py"}
    assert engine <= set(re.findall(r"^\| `(\w+\.py)`", page, flags=re.MULTILINE))
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (ROOT / "docs" / link).exists(), link

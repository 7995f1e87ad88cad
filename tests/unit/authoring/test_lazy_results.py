"""Using a result as a value while the flow is built: each is an error that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tidemill import Problem, flow
from tidemill.authoring.building import build
from unit.authoring.user_tasks import anything, double, extract, row, two


def built_with(use: Callable[[Any], object], make: Callable[[], Any] = lambda: double(1)) -> None:
    @flow
    def nightly() -> None:
        use(make())

    build(nightly)


@pytest.mark.parametrize(
    ("use", "what", "mend"),
    [
        (bool, "asks whether the result of 'double' is true", r"with when\(double\): … and with when\(~double\)"),
        (lambda ref: not ref, "asks whether the result of 'double' is true", "with when"),
        (lambda ref: ref and 1, "asks whether", "with when"),
        (lambda ref: not ~ref, "asks whether", "with when"),
        (lambda ref: ref == 3, r"compares the result of 'double' \(==\)", "Compare inside a task that returns a bool"),
        (lambda ref: ref != 3, r"compares the result of 'double' \(!=\)", "Compare inside"),
        (lambda ref: 3 in ref, r"compares the result of 'double' \(in\)", "Compare inside"),
        (lambda ref: ref < 3, r"computes with the result of 'double' \(<\)", "Compute inside a task that takes 'double'"),
        (lambda ref: ref + 1, r"computes with the result of 'double' \(\+\)", "Compute inside a task"),
        (lambda ref: 1 + ref, r"computes with the result of 'double' \(\+\)", "Compute inside a task"),
        (lambda ref: -ref, r"computes with the result of 'double' \(-\)", "Compute inside a task"),
        (lambda ref: ref << 1, r"computes with the result of 'double' \(<<\)", "Compute inside a task"),
        (int, r"computes with the result of 'double' \(int\(\)\)", "Compute inside a task"),
        (lambda ref: [1, 2][ref], "as an index", "Compute inside a task"),
        (range, "as an index", "Compute inside a task"),
        (open, "as a path", "Compute inside a task"),
        (len, "asks for the length of the result of 'double'", r"other_task.map\(double\)"),
        (str, "makes text of the result of 'double'", "Make the text inside a task that takes 'double'"),
        (lambda ref: f"{ref}", "makes text of the result of 'double'", "Make the text inside a task"),
        (lambda ref: f"{ref:>3}", "makes text of the result of 'double'", "Make the text inside a task"),
        (print, "makes text of the result of 'double'", "Make the text inside a task"),
        (lambda ref: [x + 1 for x in ref], "loops over, or unpacks, the result of 'double'", r"other_task.map\(double\)"),
        (list, "loops over, or unpacks", "map"),
        (lambda ref: ref(), "calls the result of 'double'", "Call it inside a task"),
        (lambda ref: ref[1:2], "was asked for with a slice", "write a small task"),
        (lambda ref: ref[1.5], "was asked for with a float", "write a small task"),
        (lambda ref: ref[True], "was asked for with a bool", "write a small task"),
        (lambda ref: ref.__setitem__("k", 1), "changes the result of 'double'", "Change it inside a task"),
        (lambda ref: ref.__enter__(), "`with` was used on the result of 'double'", r"with when\(double\): …, or with setup"),
        (lambda ref: ref[0], "'double' is declared as int, which has no parts", "Pass it on whole"),
        (lambda ref: ref.upper, r"reads .upper of the result of 'double', which is declared as int", "Read it inside a task"),
    ],
)
def test_what_would_need_the_value_is_refused(use: Callable[[Any], object], what: str, mend: str) -> None:
    with pytest.raises(Problem, match=what) as caught:
        built_with(use)
    assert caught.value.report().code == "lazy-result"
    assert "While the flow 'nightly' is built no task has run" in caught.value.why
    assert "test_lazy_results.py:" in caught.value.where
    assert re.search(mend, caught.value.mend)


@pytest.mark.parametrize(
    ("make", "use", "text"),
    [
        (extract, lambda ref: ref["a"], "its parts have numbers, not the name 'a'"),
        (row, lambda ref: ref["shops"], "has no key 'shops'(?s:.*)Did you mean 'shop'"),
        (two, lambda ref: ref[2], r"declared with 2 parts, and part \[2\] was asked for"),
        (two, lambda ref: ref["x"], "is a tuple: its parts have numbers"),
        (anything, lambda ref: ref.name, "which is not declared(?s:.*)Declare what the task returns"),
        (anything, list, "To unpack, declare the result"),
    ],
)
def test_parts_that_the_declared_type_does_not_have_are_refused(make: Any, use: Any, text: str) -> None:
    with pytest.raises(Problem, match=text):
        built_with(use, make)


def test_repr_is_for_looking_and_harmless() -> None:
    seen: list[str] = []
    built_with(lambda ref: seen.append(repr(ref)))
    assert seen == ["<result of double in the flow nightly, not computed yet>"]


def test_the_error_points_at_the_line_of_the_user() -> None:
    @flow
    def nightly() -> None:
        big = double(1)
        if big:  # the line
            double(2)

    with pytest.raises(Problem) as caught:
        build(nightly)
    line = nightly.function.__code__.co_firstlineno + 3
    assert caught.value.where == f"{__file__}:{line}"

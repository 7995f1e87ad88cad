"""How numbers, times and columns read."""

from __future__ import annotations

import io

import pytest

from tidemill.cli.render.problem import problem_text
from tidemill.cli.render.words import Style, ago, clip, counted, duration, instant, plural, size, style_of, table, width
from tidemill.errors import Problem

PLAIN = Style(colour=False, unicode=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0404, "0.04 s"),
        (9.99, "9.99 s"),
        (12.34, "12.3 s"),
        (200, "3 m 20 s"),
        (7500, "2 h 05 m"),
        (90_000, "1 d 01 h"),
        (-1, "0.00 s"),
        (None, ""),
    ],
)
def test_durations_are_as_precise_as_they_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_counts_are_told_in_one_order_and_zeros_are_left_out() -> None:
    assert counted({"failed": 1, "succeeded": 12_345, "blocked": 0}) == "12,345 succeeded, 1 failed"
    assert counted({}) == "no tasks"


def test_words_for_amounts() -> None:
    assert [plural(1, "task"), plural(2000, "task"), plural(0, "promise")] == ["1 task", "2,000 tasks", "0 promises"]
    assert [size(812), size(1_200_000), size(3 * 10**12)] == ["812 B", "1.2 MB", "3.0 TB"]
    assert [ago(100, 130), ago(100, 3700), ago(0, 10 * 3600), ago(0, 86400 * 9)] == ["30 s ago", "60 m ago", "10 h ago", "9 d ago"]
    assert instant(0.5) == "1970-01-01T00:00:00.500Z"


def test_a_wide_character_takes_two_columns_and_a_combining_one_none() -> None:
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert clip("日本語テキスト", 7) == "日本語…"
    assert clip("one\ntwo", 20) == "one two"


def test_columns_line_up_and_the_last_is_cut_at_the_edge_of_the_terminal() -> None:
    lines = table(("A", "B"), [("x", "y" * 50), ("long", "z")], Style(colour=False, unicode=True, columns=20))
    assert lines == ["A     B", "x     yyyyyyyyyyyyy…", "long  z"]


def test_no_colour_without_a_terminal_or_when_it_is_not_wanted() -> None:
    class Terminal(io.StringIO):
        encoding = "ascii"

        def isatty(self) -> bool:
            return True

    assert style_of(Terminal(), {"TERM": "xterm"}).colour
    assert not style_of(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not style_of(Terminal(), {"TERM": "dumb"}).colour
    assert not style_of(io.StringIO(), {"TERM": "xterm"}).colour


def test_a_terminal_that_speaks_ascii_is_shown_ascii() -> None:
    ascii_ = Style(colour=False, unicode=False)
    assert [ascii_.sign(state) for state in ("succeeded", "failed", "running", "skipped")] == ["+", "x", ">", "-"]
    assert all(ascii_.sign(state).isascii() for state in ("reused", "retrying", "lost", "blocked", "cancelled", "waiting", "ready"))


def test_a_problem_is_what_why_where_and_the_mend() -> None:
    problem = Problem("It broke.", why="It was old.", mend="Buy another.", where="shop.py:3")
    assert problem_text(problem, PLAIN).splitlines() == ["error[problem]: It broke.", "  It was old.", "  at shop.py:3", "  Buy another."]

"""Rows as tuples: what goes in comes out, whatever text and numbers are."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from conformance.store.rows import handle, task
from tidemill.graph.work import Failure
from tidemill.machine.states import TaskState
from tidemill.ports import TaskRow
from tidemill.store import encoding
from tidemill.store.sql import tasks

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
TIMES = st.none() | st.floats(0, 1e12)


@given(TEXT)
def test_text_that_both_databases_can_keep_stays_as_it_is(text: str) -> None:
    assert encoding.text(text) == text


@given(st.text())
def test_any_text_becomes_one_that_can_be_kept(text: str) -> None:
    kept = encoding.text(text)
    assert "\0" not in kept
    assert len(kept.encode()) >= len(kept) == len(text)


@given(st.none() | st.floats() | TEXT)
def test_a_number_or_text_comes_back(value: float | str | None) -> None:
    back = encoding.from_number_or_text(encoding.number_or_text(value))
    if isinstance(value, float) and math.isnan(value):
        assert math.isnan(back)
    else:
        assert (back, type(back)) == (value, type(value))


@given(TEXT, TEXT, st.sampled_from(TaskState), TIMES, TIMES, st.integers(0, 2**62))
def test_a_task_comes_back(place: str, because: str, state: TaskState, ready: float | None, ended: float | None, memory: int) -> None:
    row: TaskRow = task(place=place, because=because, state=state, ready_at=ready, ended_at=ended, memory=memory, output=handle())
    assert tasks.row(tasks.values(row)) == row


@given(st.text())
def test_what_goes_through_json_is_text_that_both_databases_can_keep(text: str) -> None:
    made = Failure("error", text, type=text)
    back = encoding.some_failure(encoding.to_json(made))
    assert back == encoding.sound(made)
    assert back == made or any("\ud800" <= letter <= "\udfff" for letter in text)


@given(TEXT)
def test_a_value_that_is_whole_is_kept_as_it_is(text: str) -> None:
    made = Failure("error", text)
    assert encoding.sound(made) is made

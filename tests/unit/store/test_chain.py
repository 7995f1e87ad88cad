"""The hash chain: it is the same everywhere and for ever, and depends on all that came before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Corrupt
from tidemill.ports import EventRow
from tidemill.store.chain import START, Head, extend, link, verified

BODIES = st.lists(st.binary(max_size=50), max_size=8)


def rows(bodies: list[bytes], first: int = 1) -> list[EventRow]:
    return [EventRow(run="r", n=n, kind="k", at=0.0, body=body) for n, body in enumerate(bodies, first)]


def test_a_link_never_changes() -> None:
    assert link("", 1, "run.begun", b"{}") == "a2974ea029b51c55abb9ae33f17c7b68f9f037e14cdf4905c279b2737d636560"


@given(BODIES, BODIES)
def test_a_log_stored_in_two_parts_has_the_chain_of_the_whole(one: list[bytes], two: list[bytes]) -> None:
    first = extend(START, "r", rows(one))
    second = extend(first.head, "r", rows(two, len(one) + 1))
    whole = extend(START, "r", rows(one + two))
    assert whole.head == second.head
    assert whole.rows == first.rows + second.rows


@given(BODIES.filter(bool), st.data())
def test_a_change_anywhere_changes_the_end(bodies: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(bodies) - 1))
    other = [*bodies[:place], bodies[place] + b"!", *bodies[place + 1 :]]
    assert extend(START, "r", rows(bodies)).head != extend(START, "r", rows(other)).head


@pytest.mark.parametrize(("n", "run"), [(1, "r"), (3, "r"), (2, "other")])
def test_entries_that_do_not_follow_are_refused(n: int, run: str) -> None:
    with pytest.raises(ValueError, match=f"entry {n} of run {run} does not follow entry 1 of run r"):
        extend(Head(1, "x"), "r", [EventRow(run=run, n=n, kind="k", at=0.0, body=b"")])


def test_a_reader_notices_a_hole_and_a_wrong_hash() -> None:
    good = EventRow(run="r", n=2, kind="k", at=0.0, body=b"b", chain=link("a", 2, "k", b"b"))
    assert verified(good, 1, "a") == good.chain
    assert verified(good, 1, None) == good.chain
    with pytest.raises(Corrupt, match="entry 1 is missing"):
        verified(good, 0, "")
    with pytest.raises(Corrupt, match="entry 2 is not what was written"):
        verified(good, 1, "other")

"""What is left to do of a range, and how far it has come: beside plain sets of keys."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import Corrupt
from tidemill.graph.partitions import PartitionSet, Progress, ProgressReport, daily, parse, space_of, static, text, todo

SPACE = space_of(daily("2026-01-01", "2026-01-10") * static("fr", "de", name="land"))
KEYS = list(PartitionSet.everything(SPACE))
some = st.frozensets(st.sampled_from(KEYS))


def of(keys: frozenset[str]) -> PartitionSet:
    return PartitionSet.of(SPACE, keys)


@given(want=some, upstream=some, fresh=some, running=some)
def test_what_is_wanted_is_parted_once(want, upstream, fresh, running) -> None:
    found = todo(of(want), of(upstream), of(fresh), of(running))
    assert set(found.run) == (want & upstream) - fresh - running
    assert set(found.running) == want & running
    assert set(found.fresh) == (want & fresh) - running
    assert set(found.waiting) == want - upstream - fresh - running
    assert sum(map(len, found)) == len(want)


@given(want=some, moves=st.lists(st.tuples(st.sampled_from(["started", "succeeded", "missed", "returned"]), some), max_size=8))
def test_a_partition_is_where_it_was_last_reported(want, moves) -> None:
    progress, where = Progress(of(want)), dict.fromkeys(want, "returned")
    for move, keys in moves:
        progress = getattr(progress, move)(of(keys))
        where |= {key: move for key in keys if key in want}
    sets = {"started": progress.running, "succeeded": progress.done, "missed": progress.failed, "returned": progress.waiting}
    for move, found in sets.items():
        assert set(found) == {key for key, last in where.items() if last == move}
    assert progress.over == all(last in ("succeeded", "missed") for last in where.values())
    assert progress.share == (len(progress.done) / len(want) if want else 1.0)
    stored = msgspec.json.decode(msgspec.json.encode(progress.report()), type=ProgressReport)
    again = Progress.of(SPACE, stored)
    assert (again.want, again.done, again.failed, again.running) == (progress.want, progress.done, progress.failed, progress.running)


@given(want=some, done=some, failed=some, count=st.integers(1, 12))
def test_stretches_count_everything_once_in_the_order_of_time(want, done, failed, count) -> None:
    stretches = Progress(of(want)).succeeded(of(done)).missed(of(failed)).stretches(count)
    assert len(stretches) == min(count, len({key[:10] for key in want}))
    assert sum(each.total for each in stretches) == len(want)
    assert sum(each.failed for each in stretches) == len(want & failed)
    assert sum(each.done for each in stretches) == len((want & done) - failed)
    assert all(each.done + each.failed + each.running + each.waiting == each.total for each in stretches)
    assert [each.first for each in stretches] == sorted(each.first for each in stretches)
    for each in stretches:
        assert each.total == len([key for key in want if each.first <= key[:10] <= each.last])


def test_a_backfill_comes_along_newest_first() -> None:
    progress = Progress(parse(SPACE, "2026-01-01..2026-01-04"))
    first, *rest = progress.waiting.chunks(4, "newest")
    assert text(first) == "2026-01-03..2026-01-04"
    progress = progress.started(first).succeeded(first)
    assert text(progress.waiting) == text(rest[0]) == "2026-01-01..2026-01-02"
    assert progress.stretches(2)[1].done == 4
    assert not progress.over
    assert progress.missed(rest[0]).over


def test_a_stored_progress_of_what_nobody_asked_for_is_named() -> None:
    with pytest.raises(Corrupt, match="counts partitions that nobody asked for"):
        Progress.of(SPACE, ProgressReport([], [{"day": ["2026-01-01", "2026-01-01"], "land": ["fr"]}], [], []))

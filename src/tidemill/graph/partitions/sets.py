"""Sets of partitions of one asset: never listed, whatever their number. Knows what is in them, not what they stand for.

A set is a region over the axes of its space: what is regular costs nothing, and an operation takes time by the number of runs, not
of partitions. Sets are values: every operation makes a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from heapq import merge
from itertools import product as combinations
from typing import Literal, TypeAlias

from tidemill.graph.partitions import regions
from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.problems import BadPartition, OtherPartitions
from tidemill.graph.partitions.regions import Region
from tidemill.graph.partitions.runs import Runs
from tidemill.graph.partitions.spaces import Space

__all__ = ["Order", "PartitionSet"]

Order: TypeAlias = Literal["oldest", "newest"]
Row: TypeAlias = tuple[int, ...]  # one combination of the axes other than the innermost


class PartitionSet:
    """A set of partitions. `|`, `&` and `-` as with Python's sets; iterating yields keys, oldest first, one at a time."""

    __slots__ = ("_count", "region", "space")

    def __init__(self, space: Space, region: Region = ()) -> None:
        self.space = space
        self.region = region
        self._count: int | None = None

    @staticmethod
    def everything(space: Space, now: datetime | None = None) -> PartitionSet:
        """All partitions there are at `now`: every key, and the windows that have ended. Without `now`, all there will ever be."""
        return PartitionSet(space, regions.product(space.box(now)))

    @staticmethod
    def of(space: Space, keys: Iterable[str]) -> PartitionSet:
        """The set of some keys. Raises `BadPartition` for one that the space does not have."""
        points = [space.point(key) for key in keys]
        if len(space) == 1:
            return PartitionSet(space, r.of_indices(point[0] for point in points))
        rows: dict[tuple[int, ...], list[int]] = {}
        for point in points:
            rows.setdefault(point[:-1], []).append(point[-1])
        made = (regions.product([*((n, n + 1) for n in row), r.of_indices(inner)]) for row, inner in sorted(rows.items()))
        return PartitionSet(space, regions.joined(made, len(space)))

    @staticmethod
    def box(space: Space, runs: Mapping[str, Runs], now: datetime | None = None) -> PartitionSet:
        """All combinations of the given numbers per dimension; of a dimension that is not named, all there is at `now`."""
        whole = space.box(now)
        return PartitionSet(space, regions.product([runs.get(axis.name, all_of) for axis, all_of in zip(space.nested, whole, strict=True)]))

    def _like(self, region: Region) -> PartitionSet:
        return PartitionSet(self.space, region)

    def _with(self, other: PartitionSet, operation: Callable[[Region, Region, int], Region]) -> PartitionSet:
        if self.space is not other.space and not self.space.fits(other.space):
            raise OtherPartitions(
                f"Partitions by {', '.join(self.space.names)} and by {', '.join(other.space.names)} cannot be combined.",
                why="Their dimensions differ in name, calendar, time zone or keys.",
                mend="Map one onto the other first.",
            )
        return PartitionSet(self.space.wider(other.space), operation(self.region, other.region, len(self.space)))

    def __or__(self, other: PartitionSet) -> PartitionSet:
        return self._with(other, regions.union)

    def __and__(self, other: PartitionSet) -> PartitionSet:
        return self._with(other, regions.intersection)

    def __sub__(self, other: PartitionSet) -> PartitionSet:
        return self._with(other, regions.difference)

    def complement(self, universe: PartitionSet) -> PartitionSet:
        """What of the universe is not in this set."""
        return universe - self

    def __le__(self, other: PartitionSet) -> bool:
        return not (self - other).region

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSet) and self.region == other.region and self.space.fits(other.space)

    def __hash__(self) -> int:
        return hash(self.region)

    def __contains__(self, key: str) -> bool:
        """Whether a key is in the set; a key that cannot be is in none."""
        try:
            return regions.contains(self.region, self.space.point(key))
        except BadPartition:
            return False

    def __bool__(self) -> bool:
        return bool(self.region)

    def __len__(self) -> int:
        if self._count is None:
            self._count = regions.count(self.region, len(self.space))
        return self._count

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __repr__(self) -> str:
        return f"<{len(self)} partitions by {', '.join(self.space.names)}>"

    def keys(self, order: Order = "oldest") -> Iterator[str]:
        """The keys one at a time: by time, then by the other dimensions. The first costs as much as there are runs."""
        space = self.space
        if len(space) == 1:
            numbers = r.indices(self.region) if order == "oldest" else _falling(self.region)
            yield from map(space.axes[0].key, numbers)
            return
        *others, clock = range(len(space))
        by_time = regions.permuted(self.region, [clock, *others])
        for lo, hi, inner in by_time if order == "oldest" else reversed(by_time):
            for number in range(lo, hi) if order == "oldest" else range(hi - 1, lo - 1, -1):
                for box in regions.boxes(inner, len(others)):
                    for rest in combinations(*map(r.indices, box)):
                        yield space.key((*rest, number))

    def times(self) -> Runs:
        """The numbers along the innermost axis at which anything is in the set: time, if the space has any."""
        return r.joined(box[-1] for box in regions.boxes(self.region, len(self.space)))

    def first(self) -> str | None:
        """The oldest partition's key."""
        return next(self._at(self.times()[:1]), None)

    def last(self) -> str | None:
        """The newest partition's key."""
        return next(self._at(tuple(bound - 1 for bound in self.times()[-1:])), None)

    def _at(self, number: Runs) -> Iterator[str]:
        return self.at_times((number[0], number[0] + 1)).keys() if number else iter(())

    def at_times(self, times: Runs) -> PartitionSet:
        """What of the set lies at these numbers of the innermost axis."""
        if len(self.space) == 1:
            return self._like(r.intersection(self.region, times))
        everywhere = [axis.extent for axis in self.space.nested[:-1]]
        return self._like(regions.intersection(self.region, regions.product([*everywhere, times]), len(self.space)))

    def between(self, first: str | None = None, last: str | None = None) -> PartitionSet:
        """What lies from the begin of `first` to the end of `last`: keys, or years, months, weeks or days. None is open.

        Raises `BadPartition` for a text that is no time, for an end before its start, and if there is no dimension of time.
        """
        clock = self.space.clock
        if clock is None:
            raise BadPartition("These partitions have no order.", why="None of their dimensions is one of time.", mend="Name keys instead.")
        lo = clock.lo if first is None else clock.since(first)
        hi = clock.hi if last is None else clock.until(last)
        if hi <= lo and first is not None and last is not None:
            raise BadPartition(f"The range {first}..{last} ends before it starts.", mend=f"Did you mean {last}..{first}?")
        return self.at_times((lo, hi) if lo < hi else r.EMPTY)

    def take(self, count: int, order: Order = "oldest") -> PartitionSet:
        """The `count` oldest or newest partitions."""
        return next(self.chunks(count, order), self._like(())) if count > 0 else self._like(())

    def chunks(self, count: int, order: Order = "oldest") -> Iterator[PartitionSet]:
        """The set in pieces of at most `count` partitions, none of a piece later in time than any of the next (or earlier: newest first).

        What is of one time stays together where it is not more than `count`.
        """
        if count < 1:
            raise ValueError("a chunk has at least one partition")
        *others, clock = range(len(self.space))
        back = [*(place + 1 for place in others), 0]
        by_time = regions.permuted(self.region, [clock, *others]) if others else tuple((lo, hi, ()) for lo, hi in r.pairs(self.region))
        piece: list[Region] = []
        room = count
        for begin, end, inner, each in _pieces(by_time, len(others), count, order):
            lo, hi = begin, end
            while lo < hi:
                if room < each:
                    yield self._like(regions.joined(piece, len(self.space)))
                    piece, room = [], count
                steps = min(hi - lo, room // each)
                cut = (lo, lo + steps) if order == "oldest" else (hi - steps, hi)
                lo, hi = (cut[1], hi) if order == "oldest" else (lo, cut[0])
                piece.append(regions.permuted(((*cut, inner),), back) if others else cut)
                room -= steps * each
        if piece:
            yield self._like(regions.joined(piece, len(self.space)))

    def batches(self, count: int, order: Order = "oldest") -> Iterator[PartitionSet]:
        """The set in stretches of time without a gap, each of one combination of the other keys: what a task takes at once."""
        if count < 1:
            raise ValueError("a batch has at least one partition")
        found = [
            (lo, hi, row)
            for *rows, times in regions.boxes(self.region, len(self.space))
            for row in combinations(*map(r.indices, rows))
            for lo, hi in r.pairs(times)
        ]
        cuts = (_cuts(lo, hi, row, count, order) for lo, hi, row in found)
        for cut, row in merge(*cuts, key=lambda each: each[0][0] if order == "oldest" else -each[0][1]):
            yield self._like(regions.product([*((n, n + 1) for n in row), cut]))


def _cuts(lo: int, hi: int, row: Row, count: int, order: Order) -> Iterator[tuple[Runs, Row]]:
    for at in range(lo, hi, count) if order == "oldest" else range(hi, lo, -count):
        yield ((at, min(hi, at + count)) if order == "oldest" else (max(lo, at - count), at)), row


def _falling(runs: Runs) -> Iterator[int]:
    return (number for at in range(len(runs) - 2, -1, -2) for number in range(runs[at + 1] - 1, runs[at] - 1, -1))


def _pieces(by_time: Region, others: int, count: int, order: Order) -> Iterator[tuple[int, int, Region, int]]:
    """(lo, hi, inner, partitions at each time); what has more than `count` at one time is parted."""
    for lo, hi, inner in by_time if order == "oldest" else reversed(by_time):
        each = regions.count(inner, others) if others else 1
        if each <= count:
            yield lo, hi, inner, each
            continue
        for number in range(lo, hi) if order == "oldest" else range(hi - 1, lo - 1, -1):
            for part in _parted(inner, others, count):
                yield number, number + 1, part, regions.count(part, others)


def _parted(region: Region, axes: int, count: int) -> Iterator[Region]:
    """A region in pieces of at most `count` points, cut along its axes."""
    for *rows, last in regions.boxes(region, axes):
        for row in combinations(*map(r.indices, rows)):
            left = last
            while left:
                yield regions.product([*((n, n + 1) for n in row), r.take(left, count)])
                left = r.drop(left, count)

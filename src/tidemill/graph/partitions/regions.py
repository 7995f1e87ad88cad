"""Sets of points in a grid of any number of axes. Knows nothing of keys or time.

Of one axis, a region is a set of runs. Of more, it is a sorted tuple of bands (lo, hi, inner), where `inner` is the region of
the other axes that all of lo…hi-1 have in common; no two neighbouring bands have equal inner regions, so equal sets are equal
tuples. What is regular is one band, however many points it holds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.runs import Runs

__all__ = ["Box", "Region", "boxes", "contains", "count", "difference", "intersection", "joined", "permuted", "product", "union"]

Region: TypeAlias = tuple[Any, ...]  # Runs, or bands (lo, hi, Region)
Box: TypeAlias = tuple[Runs, ...]  # one set of runs for each axis: all their combinations
Combine: TypeAlias = Callable[[Region, Region, int], Region]


def union(a: Region, b: Region, axes: int) -> Region:
    """Points of one of them."""
    if axes == 1:
        return r.union(a, b)
    return a or b if not a or not b or a is b else _swept(a, b, axes, union, keep_a=True, keep_b=True)


def intersection(a: Region, b: Region, axes: int) -> Region:
    """Points of both."""
    if axes == 1:
        return r.intersection(a, b)
    if not a or not b:
        return ()
    return a if a is b else _swept(a, b, axes, intersection, keep_a=False, keep_b=False)


def difference(a: Region, b: Region, axes: int) -> Region:
    """Points of `a` that are not in `b`."""
    if axes == 1:
        return r.difference(a, b)
    if not a or not b:
        return a
    return () if a is b else _swept(a, b, axes, difference, keep_a=True, keep_b=False)


class _Cursor:
    """A place within the bands of one side, which may be in the middle of a band."""

    __slots__ = ("at", "bands", "hi", "inner", "keep", "lo")

    def __init__(self, bands: Region, *, keep: bool) -> None:
        self.bands = bands
        self.keep = keep
        self.at = 0
        self.lo, self.hi, self.inner = bands[0]

    def pass_to(self, place: int, made: list[tuple[int, int, Region]]) -> bool:
        """Leave behind the bands that end at or before `place`, many at once. False when none is left."""
        end = bisect_right(self.bands, place, self.at + 1, key=_end)
        if self.keep:
            _add(made, self.lo, self.hi, self.inner)
            _extend(made, self.bands[self.at + 1 : end])
        return self._enter(end)

    def cut(self, lo: int, hi: int, made: list[tuple[int, int, Region]]) -> bool:
        """Leave behind all before `hi`; what lies before `lo` met nothing on the other side. False when none is left."""
        if self.keep and self.lo < lo:
            _add(made, self.lo, lo, self.inner)
        self.lo = hi
        return self._enter(self.at + 1) if self.hi == hi else True

    def finish(self, made: list[tuple[int, int, Region]]) -> None:
        if self.keep and self.at < len(self.bands):
            _add(made, self.lo, self.hi, self.inner)
            _extend(made, self.bands[self.at + 1 :])

    def _enter(self, at: int) -> bool:
        self.at = at
        if at == len(self.bands):
            return False
        self.lo, self.hi, self.inner = self.bands[at]
        return True


def _swept(first: Region, second: Region, axes: int, combine: Combine, *, keep_a: bool, keep_b: bool) -> Region:
    """Walk along the outer axis of both. Bands that meet nothing on the other side are copied, or passed over, many at once."""
    made: list[tuple[int, int, Region]] = []
    memo: dict[tuple[int, int], Region] = {}  # by identity: neighbours often share their inner regions
    a, b = _Cursor(first, keep=keep_a), _Cursor(second, keep=keep_b)
    more = True
    while more:
        if a.hi <= b.lo:
            more = a.pass_to(b.lo, made)
        elif b.hi <= a.lo:
            more = b.pass_to(a.lo, made)
        else:
            lo, hi = max(a.lo, b.lo), min(a.hi, b.hi)
            inners = a.inner, b.inner
            left = a.cut(lo, hi, made)
            more = b.cut(lo, hi, made) and left
            key = (id(inners[0]), id(inners[1]))
            if (inner := memo.get(key)) is None:
                inner = memo[key] = combine(*inners, axes - 1)
            if inner:
                _add(made, lo, hi, inner)
    a.finish(made)
    b.finish(made)
    return tuple(made)


def _end(band: tuple[int, int, Region]) -> int:
    return band[1]


def _add(made: list[tuple[int, int, Region]], lo: int, hi: int, inner: Region) -> None:
    if made and made[-1][1] == lo and (made[-1][2] is inner or made[-1][2] == inner):
        made[-1] = (made[-1][0], hi, inner)
    else:
        made.append((lo, hi, inner))


def _extend(made: list[tuple[int, int, Region]], bands: Region) -> None:
    """Bands that are normal among themselves: only the seam can join."""
    if bands:
        _add(made, *bands[0])
        made.extend(bands[1:])


def product(box: Sequence[Runs]) -> Region:
    """All combinations of one set of runs per axis."""
    if not all(box):
        return ()
    made: Region = box[-1]
    for axis in reversed(box[:-1]):
        made = tuple((lo, hi, made) for lo, hi in r.pairs(axis))
    return made


def joined(regions: Iterable[Region], axes: int) -> Region:
    """The union of any number of regions."""
    if axes == 1:
        return r.joined(regions)
    # Pairs of pairs: each band is copied log(n) times and not n.
    level = [region for region in regions if region]
    while len(level) > 1:
        level = [union(level[at], level[at + 1], axes) if at + 1 < len(level) else level[at] for at in range(0, len(level), 2)]
    return level[0] if level else ()


def boxes(region: Region, axes: int) -> Iterator[Box]:
    """The region as boxes that do not overlap: bands with equal inner regions are one box, also where they are apart."""
    if axes == 1:
        if region:
            yield (region,)
        return
    alike: dict[Region, list[int]] = {}
    for lo, hi, inner in region:
        alike.setdefault(inner, []).extend((lo, hi))
    for inner, bounds in alike.items():
        outer = tuple(bounds)
        for rest in boxes(inner, axes - 1):
            yield (outer, *rest)


def permuted(region: Region, order: Sequence[int]) -> Region:
    """The same points with the axes in another order: axis k of the result is axis `order[k]`."""
    if list(order) == sorted(order):
        return region
    return joined((product([box[axis] for axis in order]) for box in boxes(region, len(order))), len(order))


def count(region: Region, axes: int) -> int:
    """How many points there are."""
    if axes == 1:
        return r.size(region)
    memo: dict[int, int] = {}
    total = 0
    for lo, hi, inner in region:
        if (each := memo.get(id(inner))) is None:
            each = memo[id(inner)] = count(inner, axes - 1)
        total += (hi - lo) * each
    return total


def contains(region: Region, point: Sequence[int]) -> bool:
    """Whether a point is in the region."""
    for number in point[:-1]:
        at = bisect_right(region, number, key=_end)
        if at == len(region) or region[at][0] > number:
            return False
        region = region[at][2]
    return r.contains(region, point[-1])

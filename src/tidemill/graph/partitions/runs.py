"""Sets of whole numbers as sorted half-open runs. Knows nothing of keys, time or dimensions.

A set is a flat tuple of bounds (lo, hi, lo, hi, …): strictly rising, so no run is empty and none touches the next, and equal sets are
equal tuples. Where two sets are alike in size their bounds are sorted together (one merge, in C); where one is small, its
runs are looked up in the large one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import TypeAlias

__all__ = [
    "EMPTY", "Runs", "clip", "contains", "difference", "drop", "indices", "intersection", "joined", "normal", "of_indices", "pairs", "size",
    "take", "take_last", "union", "widened",
]  # fmt: skip

Runs: TypeAlias = tuple[int, ...]
EMPTY: Runs = ()
_FEW = 12  # how much smaller one side must be for looking up to beat merging


def pairs(runs: Runs) -> Iterator[tuple[int, int]]:
    """The runs as (lo, hi)."""
    return zip(runs[::2], runs[1::2], strict=True)


def normal(spans: Iterable[tuple[int, int]]) -> Runs:
    """The set that these spans cover. They may overlap, touch, be empty and come in any order."""
    kept = [(lo, hi) for lo, hi in spans if lo < hi]
    return _covered(sorted(lo for lo, _ in kept), sorted(hi for _, hi in kept))


def of_indices(numbers: Iterable[int]) -> Runs:
    """The set of these numbers."""
    known = sorted(set(numbers))
    if not known:
        return EMPTY
    inner = [bound for before, after in pairwise(known) if after - before > 1 for bound in (before + 1, after)]
    return (known[0], *inner, known[-1] + 1)


def joined(sets: Iterable[Runs]) -> Runs:
    """The union of any number of sets."""
    bounds = [runs for runs in sets if runs]
    if len(bounds) <= 1:
        return bounds[0] if bounds else EMPTY
    return _covered(sorted(chain.from_iterable(r[::2] for r in bounds)), sorted(chain.from_iterable(r[1::2] for r in bounds)))


def _covered(starts: list[int], ends: list[int]) -> Runs:
    """What spans with these bounds cover. Before the k-th start all spans have ended if k - 1 ends lie before it: there is a gap."""
    if not starts:
        return EMPTY
    inner = [bound for start, end in zip(starts[1:], ends, strict=False) if start > end for bound in (end, start)]
    return (starts[0], *inner, ends[-1])


def union(a: Runs, b: Runs) -> Runs:
    """What is in one of them."""
    if not a or not b or a == b:
        return a or b
    if len(a) < len(b):
        a, b = b, a
    if a[-1] < b[0]:
        return a + b
    if len(b) * _FEW < len(a):
        return _spliced(a, b, 0)
    return _covered(sorted(a[::2] + b[::2]), sorted(a[1::2] + b[1::2]))


def intersection(a: Runs, b: Runs) -> Runs:
    """What is in both."""
    if not a or not b or a[-1] <= b[0] or b[-1] <= a[0]:
        return EMPTY
    if a == b:
        return a
    if len(a) < len(b):
        a, b = b, a
    if len(b) * _FEW < len(a):
        found: list[int] = []
        for lo, hi in pairs(b):
            found += clip(a, lo, hi)
        return tuple(found)
    return _both(a, b)


def difference(a: Runs, b: Runs) -> Runs:
    """What is in `a` and not in `b`."""
    if not a or not b or a[-1] <= b[0] or b[-1] <= a[0]:
        return a
    if a == b:
        return EMPTY
    if len(b) * _FEW < len(a):
        return _spliced(a, b, 1)
    b = intersection(a, b) if len(a) * _FEW < len(b) else clip(b, a[0], a[-1])
    return _both(a, (a[0] - 1, *b, a[-1] + 1))


def _both(a: Runs, b: Runs) -> Runs:
    """The k-th start finds one set still open if k - 1 ends do not lie before it; both are open until the next end."""
    starts, ends = sorted(a[::2] + b[::2]), sorted(a[1::2] + b[1::2])
    return tuple([bound for start, end in zip(starts[1:], ends, strict=False) if start < end for bound in (start, end)])


def _spliced(a: Runs, b: Runs, outside: int) -> Runs:
    """`a` with the runs of `b` put in (`outside` = 0) or taken out (1): a bound of `b` stays where the parity of its place says so."""
    made: list[int] = []
    done = 0
    for lo, hi in pairs(b):
        first = bisect_left(a, lo, done)
        last = bisect_right(a, hi, first)
        made += a[done:first]
        if first % 2 == outside:
            made.append(lo)
        if last % 2 == outside:
            made.append(hi)
        done = last
    made += a[done:]
    return tuple(made)


def clip(a: Runs, lo: int, hi: int) -> Runs:
    """What of `a` lies in [lo, hi)."""
    if lo >= hi:
        return EMPTY
    first, last = bisect_right(a, lo), bisect_left(a, hi)
    kept = a[first:last]
    if first % 2:
        kept = (lo, *kept)
    return (*kept, hi) if last % 2 else kept


def contains(a: Runs, number: int) -> bool:
    """Whether the number is in the set."""
    return bisect_right(a, number) % 2 == 1


def size(a: Runs) -> int:
    """How many numbers are in the set."""
    return a[1] - a[0] if len(a) == 2 else sum(a[1::2]) - sum(a[::2])


def indices(a: Runs) -> Iterator[int]:
    """The numbers, rising, one at a time."""
    return chain.from_iterable(map(range, a[::2], a[1::2]))


def take(a: Runs, count: int) -> Runs:
    """The first `count` numbers."""
    left = count
    for at in range(0, len(a), 2):
        if (length := a[at + 1] - a[at]) >= left:
            return (*a[:at], a[at], a[at] + left) if left else a[:at]
        left -= length
    return a


def take_last(a: Runs, count: int) -> Runs:
    """The last `count` numbers."""
    left = count
    for at in range(len(a) - 2, -1, -2):
        if (length := a[at + 1] - a[at]) >= left:
            return (a[at + 1] - left, a[at + 1], *a[at + 2 :]) if left else a[at + 2 :]
        left -= length
    return a


def drop(a: Runs, count: int) -> Runs:
    """All but the first `count` numbers."""
    return take_last(a, max(0, size(a) - count))


def widened(a: Runs, before: int, after: int) -> Runs:
    """Every number of each run moved by all of `before`…`after`: [lo, hi) becomes [lo + before, hi + after). `before` <= `after`."""
    if before == after:
        return tuple([bound + before for bound in a])
    return _covered([lo + before for lo in a[::2]], [hi + after for hi in a[1::2]])

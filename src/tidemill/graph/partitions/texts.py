"""Sets of partitions as text that people write and read, and as JSON that is kept. Keys, not numbers: they outlive every change.

Text: boxes between ";", dimensions between ",", choices between "|", ranges with ".." that include both ends, and whole keys with "/":
"2026-01-01..2026-06-30, fr|de; 2026-07-01, fr". A dimension that is not named is meant as a whole. "fr,de" are two keys of one dimension.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from tidemill.errors import Corrupt, nearest
from tidemill.graph.partitions import regions
from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.axes import Axis, TimeAxis
from tidemill.graph.partitions.problems import BadPartition
from tidemill.graph.partitions.runs import Runs
from tidemill.graph.partitions.sets import PartitionSet
from tidemill.graph.partitions.spaces import Space, quoted, split, unquoted

__all__ = ["Ranges", "from_json", "from_ranges", "parse", "text", "to_json", "to_ranges"]

# One dict per box: of times first and last keys in turn, of other dimensions the keys.
Ranges: TypeAlias = list[dict[str, list[str]]]
_MANY = 20_000
_EVERYTHING = ("", "*", "all")


def parse(space: Space, written: str, now: datetime | None = None) -> PartitionSet:
    """The set that a text means, of all there is at `now` (without it: of all there will be).

    Ranges and periods are cut to what there is. Raises `BadPartition` for keys that are not, for texts that speak of no dimension
    or of more than one, and if nothing of what is meant has ended at `now`.
    """
    whole = PartitionSet.everything(space, now)
    if written.strip() in _EVERYTHING:
        return whole
    found = PartitionSet(space)
    for box in split(written, ";"):
        found |= _box(space, box, now)
    if not (kept := found & whole) and found:
        first = found.first()
        raise BadPartition(f"{first} has not ended yet." if now else f"There is no partition {first}.", mend="Ask for earlier partitions.")
    return kept


def _box(space: Space, written: str, now: datetime | None) -> PartitionSet:
    terms = [term.strip() for term in split(written, ",") if term.strip()]
    if not terms:
        raise BadPartition(f"{written!r} names no partition.", mend=f"Write a key of {', '.join(space.names)}, or 'all'.")
    whole_keys = [term for term in terms if len(space) > 1 and len(split(term, "/")) > 1]
    if whole_keys and len(whole_keys) < len(terms):
        raise BadPartition(
            f"{written.strip()!r} mixes whole keys and parts of keys.",
            why="'/' joins the parts of a whole key; ',' lists parts, or whole keys.",
            mend="Put ';' between what is meant for itself.",
        )
    if whole_keys:
        made = PartitionSet(space)
        for term in terms:
            parts = split(term, "/")
            if len(parts) != len(space):
                raise BadPartition(f"{term!r} does not name a partition.", why=f"A key has a part for each of {', '.join(space.names)}.")
            made |= PartitionSet.box(space, {axis.name: _choices(axis, part) for axis, part in zip(space.axes, parts, strict=True)}, now)
        return made
    chosen: dict[str, Runs] = {}
    for term in terms:
        axis, rest = _subject(space, term)
        chosen[axis.name] = r.union(chosen.get(axis.name, r.EMPTY), _choices(axis, rest))
    return PartitionSet.box(space, chosen, now)


def _subject(space: Space, term: str) -> tuple[Axis, str]:
    """The dimension of which a term speaks: the one it names ("country=fr"), else the only one that knows its first word."""
    named = split(term, "=")
    if len(named) == 2:
        return space.axis(named[0].strip()), named[1]
    if len(space) == 1:
        return space.axes[0], term
    first, *_ = split(term, "|")
    begin, dots, end = first.partition("..")
    word = unquoted(first if first.strip().startswith('"') or not dots else begin.strip() or end)
    found = [axis for axis in space.axes if axis.matches(word)]
    if len(found) != 1:
        ways = [f"{axis.name}={term}" for axis in found or space.axes]
        known = [key for axis in space.axes if not isinstance(axis, TimeAxis) for key in axis.names[:_MANY]]
        near = None if found else nearest(word, known)
        raise BadPartition(
            f"{word!r} is a key of {' and of '.join(axis.name for axis in found)}." if found else f"No dimension has a key {word!r}.",
            why=f"The dimensions are {', '.join(space.names)}.",
            mend=f"Did you mean {near!r}?" if near else f"Say which is meant: {' or '.join(ways)}.",
        )
    return found[0], term


def _choices(axis: Axis, written: str) -> Runs:
    if written.strip() in ("*", ""):
        return axis.extent
    return r.joined([_choice(axis, part.strip()) for part in split(written, "|")])


def _choice(axis: Axis, written: str) -> Runs:
    if not isinstance(axis, TimeAxis):
        return axis.term(written if axis.matches(written) else unquoted(written))
    begin, dots, end = written.partition("..")
    if not dots:
        return axis.term(written)
    lo = axis.since(begin.strip()) if begin.strip() else axis.lo
    hi = axis.until(end.strip()) if end.strip() else axis.hi
    if hi <= lo and begin.strip() and end.strip():
        raise BadPartition(f"The range {written} ends before it starts.", mend=f"Did you mean {end.strip()}..{begin.strip()}?")
    if hi <= axis.lo or lo >= axis.hi:
        raise BadPartition(
            f"The range {written} has no {axis.calendar.unit} of {axis.name!r}.",
            why=f"That goes from {axis.key(axis.lo)} to {axis.key(axis.hi - 1)}.",
            mend="Ask for a range within.",
        )
    return r.clip((lo, hi), axis.lo, axis.hi)


def text(found: PartitionSet, limit: int | None = None) -> str:
    """The set as `parse` reads it; with a `limit`, at most so many ranges and keys are written and the rest is counted."""
    if not found:
        return "nothing"
    space = found.space
    if found.region == regions.product(space.box()):
        return "all"
    pieces: list[str] = []
    room = limit if limit is not None else 1 << 60
    boxes = list(regions.boxes(found.region, len(space)))
    for at, box in enumerate(boxes):
        if room <= 0:
            return "; ".join(pieces) + f"; … and {len(boxes) - at} more"
        runs = dict(zip(space.order, box, strict=True))
        named = [place for place, axis in enumerate(space.axes) if runs[place] != axis.extent]
        parts = []
        for place in named:
            written, used = _written(space.axes[place], runs[place], room)
            room -= used
            parts.append((f"{space.names[place]}=" if _unclear(space, place, runs[place]) else "") + written)
        pieces.append(", ".join(parts))
    return "; ".join(pieces)


def _unclear(space: Space, place: int, runs: Runs) -> bool:
    """Whether another dimension would also take the keys for its own."""
    words = [space.axes[place].key(number) for number in r.indices(r.take(runs, 1))]
    return any(other.matches(word) for word in words for at, other in enumerate(space.axes) if at != place)


def _written(axis: Axis, runs: Runs, room: int) -> tuple[str, int]:
    """The choices of one dimension, and how many there are written."""
    if isinstance(axis, TimeAxis):
        shown = r.pairs(runs[: 2 * max(1, room)])
        parts = [axis.key(lo) if hi - lo == 1 else f"{axis.key(lo)}..{axis.key(hi - 1)}" for lo, hi in shown]
        rest = len(runs) // 2 - len(parts)
    else:
        parts = [quoted(key) for key in axis.keys(r.take(runs, max(1, room)))]
        rest = r.size(runs) - len(parts)
    return "|".join(parts) + (f"|… and {rest} more" if rest else ""), len(parts)


def to_ranges(found: PartitionSet) -> Ranges:
    """The set as plain data, by keys."""
    space = found.space
    return [
        {axis.name: list(_bounds(axis, runs)) for axis, runs in zip(space.nested, box, strict=True)}
        for box in regions.boxes(found.region, len(space))
    ]


def _bounds(axis: Axis, runs: Runs) -> Iterator[str]:
    if isinstance(axis, TimeAxis):
        return (axis.key(bound - at % 2) for at, bound in enumerate(runs))
    return axis.keys(runs)


def from_ranges(space: Space, ranges: Ranges) -> PartitionSet:
    """The set that `to_ranges` wrote. Keys that lie outside a start or end of today stay in it.

    Raises `Corrupt` for what was not written so, and for keys that the dimensions do not have any more.
    """
    try:
        boxes = [[_numbers(axis, box[axis.name]) for axis in space.nested] for box in ranges]
    except (KeyError, TypeError, ValueError) as error:
        why = f"It was refused with: {error!r}."
        raise Corrupt("A stored set of partitions cannot be read.", why=why, mend="Build the partitions again.") from None
    except BadPartition as problem:
        what = "A stored set of partitions speaks of a partition that is not any more."
        raise Corrupt(what, why=f"{problem.what} {problem.why}", mend=problem.mend) from None
    return PartitionSet(space, regions.joined([regions.product(box) for box in boxes], len(space)))


def _numbers(axis: Axis, keys: Sequence[str]) -> Runs:
    if not isinstance(axis, TimeAxis):
        return r.of_indices(axis.number(key) for key in keys)
    ends = zip(keys[::2], keys[1::2], strict=True)
    return r.normal((lo := axis.since(first), lo + 1 if first == last else axis.until(last)) for first, last in ends)


def to_json(found: PartitionSet) -> str:
    """The set as compact JSON: [{"day": ["2026-01-01", "2026-06-30"], "country": ["fr", "de"]}]."""
    return msgspec.json.encode(to_ranges(found)).decode()


def from_json(space: Space, written: str | bytes) -> PartitionSet:
    """The set that `to_json` wrote. Raises `Corrupt`."""
    try:
        ranges = msgspec.json.decode(written, type=Ranges)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt("A stored set of partitions is not what was written.", why=str(error), mend="Build the partitions again.") from None
    return from_ranges(space, ranges)

"""The partitions of an asset beside those of one it reads: which read which, on sets, and why this mapping. Reads no clock.

Where nothing is said, dimensions of one name are joined key by key, calendars by the time that they share, and what only one side
has is read, or fed, as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple, Protocol, TypeAlias

from tidemill.graph.partitions import regions
from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.axes import Axis, ListAxis, TimeAxis
from tidemill.graph.partitions.calendars.regular import Calendar
from tidemill.graph.partitions.links.rules import (
    All,
    AxisRule,
    Custom,
    Identity,
    Latest,
    Moved,
    Overlap,
    Relation,
    SameKeys,
    SameNumbers,
    Touching,
    Window,
    whole,
)
from tidemill.graph.partitions.problems import BadPartition, MappingMisfit
from tidemill.graph.partitions.sets import PartitionSet
from tidemill.graph.partitions.spaces import Space

__all__ = ["AxisLink", "CustomLink", "Link", "Rule", "link"]

Rule: TypeAlias = AxisRule | Custom | Mapping[str, AxisRule]
_LOOKED_AT = 400  # boundaries that are compared to see whether one calendar divides the other


class Link(Protocol):
    """Which downstream partitions read which upstream partitions."""

    upstream: Space
    downstream: Space
    because: str
    slow: bool  # evaluated partition by partition

    def image(self, upstream: PartitionSet) -> PartitionSet:
        """The downstream partitions that read any of these."""

    def preimage(self, downstream: PartitionSet) -> PartitionSet:
        """The upstream partitions that these read."""


class _Pair(NamedTuple):
    up: int  # place in upstream.nested
    down: int
    relation: Relation


class AxisLink:
    """A link that is one relation per pair of dimensions; what has no partner is read, or reads, as a whole."""

    slow = False

    def __init__(self, upstream: Space, downstream: Space, joined: list[_Pair], because: str, now: datetime | None) -> None:
        self.upstream = upstream
        self.downstream = downstream
        self.because = because
        self._pairs = joined
        self._there_up = [axis.extent if any(p.up == at for p in joined) else axis.universe(now) for at, axis in enumerate(upstream.nested)]
        self._alone = [at for at in range(len(upstream.nested)) if all(p.up != at for p in joined)]
        self._there_down = [axis.extent for axis in downstream.nested]

    def image(self, upstream: PartitionSet) -> PartitionSet:
        """The downstream partitions that read any of these, within all that there will be."""
        _same(self.upstream, upstream)
        return PartitionSet(self.downstream, self._carried(upstream, forth=True))

    def preimage(self, downstream: PartitionSet) -> PartitionSet:
        """The upstream partitions that these read, within all that there will be."""
        _same(self.downstream, downstream)
        return PartitionSet(self.upstream, self._carried(downstream, forth=False))

    def _carried(self, given: PartitionSet, *, forth: bool) -> regions.Region:
        there = self._there_down if forth else self._there_up
        ways = [(p.up, p.down, p.relation.forth) if forth else (p.down, p.up, p.relation.back) for p in self._pairs]
        made = []
        for box in regions.boxes(given.region, len(given.space)):
            # What an axis without a partner holds makes no difference, as long as some of it is read at all.
            if not all(r.intersection(box[at], self._there_up[at]) for at in (self._alone if forth else ())):
                continue
            target = list(there)
            for source, place, carry in ways:
                target[place] = r.intersection(carry(box[source]), there[place])
            made.append(regions.product(target))
        return regions.joined(made, len(there))


class CustomLink:
    """A link by a function of the user's, called once for each downstream partition it is asked about; what it said is kept."""

    slow = True

    def __init__(self, upstream: Space, downstream: Space, function: Custom, now: datetime | None) -> None:
        self.upstream = upstream
        self.downstream = downstream
        name = getattr(function.function, "__name__", "without a name")
        self.because = f"a function of yours, {name}, says which (slow: it is called per partition)"
        self._everything = PartitionSet.everything(downstream, now)
        self._read = cache(lambda key: self._asked(function, key))

    def _asked(self, function: Custom, key: str) -> PartitionSet:
        named: object = function.function(key)
        if isinstance(named, str) or not isinstance(named, Iterable):
            raise MappingMisfit(
                f"The mapping of yours says {named!r} for {key}.",
                why="It must return a list of keys that the partition reads.",
                mend="Return a list, also for one key: [key].",
            )
        try:
            return PartitionSet.of(self.upstream, named)
        except BadPartition as problem:
            raise MappingMisfit(
                f"For {key} the mapping of yours names a partition that is not: {problem.what}", why=problem.why, mend=problem.mend
            ) from None

    def image(self, upstream: PartitionSet) -> PartitionSet:
        """The downstream partitions there are that read any of these. Asks about each of them."""
        _same(self.upstream, upstream)
        return PartitionSet.of(self.downstream, (key for key in self._everything if self._read(key) & upstream))

    def preimage(self, downstream: PartitionSet) -> PartitionSet:
        """The upstream partitions that these read. Asks about each of them."""
        _same(self.downstream, downstream)
        found = [self._read(key).region for key in downstream]
        return PartitionSet(self.upstream, regions.joined(found, len(self.upstream)))


def _same(expected: Space, given: PartitionSet) -> None:
    if given.space is not expected and not expected.fits(given.space):
        raise MappingMisfit(
            f"Partitions by {', '.join(given.space.names)} were given where those by {', '.join(expected.names)} are meant.",
            mend="Swap the two sides, or map first.",
        )


def link(upstream: Space, downstream: Space, rule: Rule | None = None, now: datetime | None = None) -> Link:
    """The link of two spaces by a rule: for the dimension that they share, or per downstream dimension, or by a function.

    Without a rule, the default. `now` bounds what `ALL`, `LATEST` and dimensions that only the upstream has stand for. `because` of
    the link says in words what reads what. Raises `MappingMisfit`.
    """
    if isinstance(rule, Custom):
        return CustomLink(upstream, downstream, rule, now)
    partners = _partners(upstream, downstream)
    rules = _per_dimension(rule, partners, downstream)
    pairs, because = [], []
    for up, down in partners:
        theirs, mine = upstream.nested[up], downstream.nested[down]
        relation, reason = _relation(theirs, mine, rules.get(mine.name), now)
        pairs.append(_Pair(up, down, relation))
        because += [reason] if reason else []
    because += [f"all of {a.name}" for at, a in enumerate(upstream.nested) if a.name and all(at != up for up, _ in partners)]
    because += [f"the same for each {a.name}" for at, a in enumerate(downstream.nested) if a.name and all(at != d for _, d in partners)]
    return AxisLink(upstream, downstream, pairs, "; ".join(because) or "neither has partitions", now)


def _partners(upstream: Space, downstream: Space) -> list[tuple[int, int]]:
    """The dimensions that belong together: those of one name, then the one calendar that is left on each side."""
    places = {axis.name: at for at, axis in enumerate(upstream.nested)}
    found = [(places[axis.name], at) for at, axis in enumerate(downstream.nested) if axis.name in places]
    ups = [at for at, axis in enumerate(upstream.nested) if axis.is_time and all(at != up for up, _ in found)]
    downs = [at for at, axis in enumerate(downstream.nested) if axis.is_time and all(at != down for _, down in found)]
    if ups and downs and len(ups) + len(downs) > 2:
        raise MappingMisfit(
            "It is not clear which dimensions of time belong together.",
            why=f"Upstream has {_named(upstream, ups)}, downstream {_named(downstream, downs)}.",
            mend="Give those the same name that belong together.",
        )
    return found + list(zip(ups, downs, strict=False))


def _named(space: Space, places: list[int]) -> str:
    return " and ".join(space.nested[at].name for at in places)


def _per_dimension(
    rule: AxisRule | Mapping[str, AxisRule] | None, partners: list[tuple[int, int]], downstream: Space
) -> dict[str, AxisRule]:
    shared = [downstream.nested[down].name for _, down in partners]
    if rule is None:
        return {}
    if isinstance(rule, Mapping):
        if odd := sorted(set(rule) - set(shared)):
            raise MappingMisfit(
                f"There is no shared dimension {odd[0]!r} to map.",
                why=f"Both sides share {', '.join(shared) or 'none'}.",
                mend="Name a dimension of the downstream asset that has a partner upstream.",
            )
        return dict(rule)
    times = [name for name in shared if downstream.axis(name).is_time]
    meant = shared if len(shared) == 1 else times
    if len(meant) != 1:
        raise MappingMisfit(
            f"It is not clear which dimension {rule} maps.",
            why=f"Both sides share {', '.join(shared) or 'none'}.",
            mend="Give a dict: {'day': shift(-1)}.",
        )
    return {meant[0]: rule}


def _relation(up: Axis, down: Axis, rule: AxisRule | None, now: datetime | None) -> tuple[Relation, str]:
    """The relation of two axes, and what it is in words."""
    match rule:
        case All():
            return whole(rule, up, down, now), f"all of {up.name}, as you say"
        case Latest():
            return whole(rule, up, down, now), f"the latest {up.name}, as you say"
        case Window(first, last) if isinstance(up, TimeAxis) and isinstance(down, TimeAxis):
            inner, _ = _relation(up, down, None, now)
            return Moved(first, last, inner), f"{up.name} from {first:+} to {last:+} {down.calendar.unit}s, as you say"
        case Overlap() if isinstance(up, TimeAxis) and isinstance(down, TimeAxis):
            return Touching(up, down), f"each {down.name} reads every {up.name} it shares time with, as you say"
        case Identity() if not up.fits(down) and not (isinstance(up, ListAxis) and isinstance(down, ListAxis)):
            raise MappingMisfit(f"{up.name} and {down.name} have no keys in common.", mend="Leave the rule out, or use OVERLAP.")
        case Window() | Overlap():
            raise MappingMisfit(
                f"The keys of {down.name!r} have no order.",
                why=f"{rule} is for dimensions of time.",
                mend="Use IDENTITY, ALL or a function.",
            )
        case _:
            return _default(up, down)


def _default(up: Axis, down: Axis) -> tuple[Relation, str]:
    if isinstance(up, ListAxis) and isinstance(down, ListAxis):
        same = SameNumbers() if up.fits(down) else SameKeys(up, down)
        return same, f"the same {down.name}" if down.name else ""
    if not isinstance(up, TimeAxis) or not isinstance(down, TimeAxis):
        raise MappingMisfit(
            f"The dimension {down.name!r} is one of time on one side and a list of keys on the other.",
            mend="Name them differently, or map with ALL, LATEST or a function.",
        )
    if up.fits(down):
        return SameNumbers(), f"the same {down.name}"
    if _divides(up.calendar, down.calendar, down):
        return Touching(up, down), f"each {down.name} reads every {up.name} in it"
    if _divides(down.calendar, up.calendar, up):
        return Touching(up, down), f"each {down.name} reads the {up.name} that holds it"
    raise MappingMisfit(
        f"The calendars of {up.name!r} ({_described(up)}) and {down.name!r} ({_described(down)}) do not fit.",
        why="Neither's windows are made of whole windows of the other.",
        mend="Use one time zone and offset, or say OVERLAP to read every window that shares time.",
    )


def _described(axis: TimeAxis) -> str:
    return " ".join(str(part) for part in axis.calendar.alike)


def _divides(fine: Calendar, coarse: Calendar, within: TimeAxis) -> bool:
    """Whether every window of `coarse` begins where one of `fine` does, and is not the shorter one.

    Looked at where the partitions start, and after each change of the clocks of either zone: between those, calendars repeat.
    """
    lo, hi = within.lo, within.hi
    begin, end = coarse.start(lo), coarse.start(hi)
    changes = {at for where in (fine.zone, coarse.zone) for at in where.starts[1:] if begin <= at < end}
    numbers = set(range(lo, min(hi, lo + _LOOKED_AT))) | {coarse.at(at) + step for at in changes for step in (0, 1)}
    starts = [coarse.start(number) for number in sorted(numbers) if lo <= number < hi]
    return fine.at(end) - fine.at(begin) >= hi - lo and all(fine.start(fine.at(at)) == at for at in starts)

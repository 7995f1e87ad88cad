"""Which partitions have what they read: over a whole range, and step by step as upstream partitions arrive. Knows no versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from tidemill.errors import BadSetting
from tidemill.graph.partitions.links.link import Link
from tidemill.graph.partitions.sets import PartitionSet

__all__ = ["Completeness", "Need", "complete", "newly_ready"]

Need: TypeAlias = Literal["all", "any"] | int


class Completeness:
    """What of the wanted partitions is `ready`, what is `waiting`, and the upstream partitions that are `missing`.

    `unread` are wanted partitions for which the upstream has no partition at all: they wait for ever, and a plan should say so.
    """

    def __init__(self, link: Link, have: PartitionSet, *, ready: PartitionSet, waiting: PartitionSet, unread: PartitionSet) -> None:
        self.ready = ready
        self.waiting = waiting
        self.unread = unread
        self._link = link
        self._have = have

    @property
    def missing(self) -> PartitionSet:
        """All upstream partitions that the waiting ones read and that are not there."""
        return self._link.preimage(self.waiting) - self._have

    def missing_for(self, key: str) -> PartitionSet:
        """The upstream partitions that one partition reads and that are not there. Raises `BadPartition`."""
        return self._link.preimage(PartitionSet.of(self._link.downstream, [key])) - self._have

    def each(self) -> Iterator[tuple[str, PartitionSet]]:
        """The waiting partitions, oldest first, each with what it misses: computed one at a time."""
        return ((key, self.missing_for(key)) for key in self.waiting)


def complete(have: PartitionSet, want: PartitionSet, link: Link, need: Need = "all") -> Completeness:
    """Which of the wanted downstream partitions have enough of what they read in `have`.

    `need`: "all" of it, "any" of it, or that many (or all, where there are fewer). Takes time by the number of runs; for a number, also
    by that of partitions that have a part of what they read.
    """
    _check(need)
    reads = link.preimage(want)
    readers = link.image(reads) & want
    there = reads & have
    ready = readers - link.image(reads - have)
    if need == "any":
        ready = link.image(there) & want
    elif need != "all":
        partly = (link.image(there) & want) - ready
        enough = [key for key in partly if _has(link, have, key, need)] if need > 1 else list[str]()
        ready = ready | (PartitionSet.of(want.space, enough) if need > 1 else partly)
    return Completeness(link, have, ready=ready, waiting=want - ready, unread=want - readers)


def newly_ready(arrived: PartitionSet, have: PartitionSet, want: PartitionSet, link: Link, need: Need = "all") -> PartitionSet:
    """The wanted downstream partitions that became ready when `arrived` came to `have`. Takes time by what reads `arrived`."""
    touched = link.image(arrived) & want
    reads = link.preimage(touched)
    before = reads & have
    after = before | (reads & arrived)
    return complete(after, touched, link, need).ready - complete(before, touched, link, need).ready


def _has(link: Link, have: PartitionSet, key: str, need: int) -> bool:
    return len(link.preimage(PartitionSet.of(link.downstream, [key])) & have) >= need


def _check(need: object) -> None:
    if need in ("all", "any") or (isinstance(need, int) and not isinstance(need, bool) and need >= 1):
        return
    raise BadSetting(
        f"need={need!r} is not what an input can need.",
        why="An asset needs all, any, or a number of the partitions that it reads.",
        mend="Write need='all', need='any', or a number from 1 on.",
    )

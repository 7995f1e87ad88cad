"""What is left to do of a range of partitions, and how far it has come. Decides no order and starts nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tidemill.errors import Corrupt
from tidemill.graph.partitions import runs as r
from tidemill.graph.partitions.sets import PartitionSet
from tidemill.graph.partitions.spaces import Space
from tidemill.graph.partitions.texts import Ranges, from_ranges, to_ranges

__all__ = ["Progress", "ProgressReport", "Stretch", "Todo", "todo"]


class Todo(NamedTuple):
    """The wanted partitions, parted: what to `run`, what is `fresh`, what is `running`, and what `waiting` for its upstream."""

    run: PartitionSet
    fresh: PartitionSet
    running: PartitionSet
    waiting: PartitionSet


def todo(want: PartitionSet, exists_upstream: PartitionSet, fresh: PartitionSet, running: PartitionSet) -> Todo:
    """Part the wanted partitions. `exists_upstream` are those, of this asset, whose upstream is there.

    What is running counts as running even if it is fresh: a new version is being made of it.
    """
    busy = want & running
    idle = want - running
    stale = idle - fresh
    return Todo(stale & exists_upstream, idle & fresh, busy, stale - exists_upstream)


class Stretch(NamedTuple):
    """A part of a backfill in time, and its counts."""

    first: str
    last: str
    total: int
    done: int
    failed: int
    running: int
    waiting: int


class ProgressReport(msgspec.Struct, frozen=True):
    """A `Progress` as plain data."""

    want: Ranges
    done: Ranges
    failed: Ranges
    running: Ranges


class Progress:
    """How far a range of partitions has come: a value, moved on by what is reported. Each partition is in one of the sets."""

    __slots__ = ("done", "failed", "running", "want")

    def __init__(
        self, want: PartitionSet, done: PartitionSet | None = None, failed: PartitionSet | None = None, running: PartitionSet | None = None
    ) -> None:
        nothing = PartitionSet(want.space)
        self.want = want
        self.done = done or nothing
        self.failed = failed or nothing
        self.running = running or nothing

    @property
    def waiting(self) -> PartitionSet:
        """What was neither started nor ended."""
        return self.want - self.done - self.failed - self.running

    @property
    def over(self) -> bool:
        """Whether every partition is done or failed."""
        return self.want <= (self.done | self.failed)

    @property
    def share(self) -> float:
        """The share that is done, from 0 to 1; of nothing, all is done."""
        return len(self.done) / len(self.want) if self.want else 1.0

    def started(self, part: PartitionSet) -> Progress:
        """These run now, again perhaps."""
        part = part & self.want
        return Progress(self.want, self.done - part, self.failed - part, self.running | part)

    def succeeded(self, part: PartitionSet) -> Progress:
        """These are done."""
        part = part & self.want
        return Progress(self.want, self.done | part, self.failed - part, self.running - part)

    def missed(self, part: PartitionSet) -> Progress:
        """These failed."""
        part = part & self.want
        return Progress(self.want, self.done - part, self.failed | part, self.running - part)

    def returned(self, part: PartitionSet) -> Progress:
        """These wait again: they were cancelled, or are to be tried once more."""
        return Progress(self.want, self.done - part, self.failed - part, self.running - part)

    def stretches(self, count: int) -> list[Stretch]:
        """The range in at most `count` parts of about equal length in time, oldest first, each with its counts."""
        times = self.want.times()
        length = r.size(times)
        parts = min(count, length)
        made, left = [], times
        for at in range(parts):
            steps = length * (at + 1) // parts - length * at // parts
            part, left = r.take(left, steps), r.drop(left, steps)
            made.append(self._stretch(part))
        return made

    def _stretch(self, times: r.Runs) -> Stretch:
        want = self.want.at_times(times)
        done, failed, running = (len(each.at_times(times)) for each in (self.done, self.failed, self.running))
        axis = want.space.nested[-1]
        return Stretch(axis.key(times[0]), axis.key(times[-1] - 1), len(want), done, failed, running, len(want) - done - failed - running)

    def report(self) -> ProgressReport:
        """This as plain data, by keys."""
        return ProgressReport(*(to_ranges(each) for each in (self.want, self.done, self.failed, self.running)))

    @staticmethod
    def of(space: Space, report: ProgressReport) -> Progress:
        """What `report` told. Raises `Corrupt`."""
        want, *rest = (from_ranges(space, each) for each in (report.want, report.done, report.failed, report.running))
        if any(not each <= want for each in rest):
            raise Corrupt("A stored progress counts partitions that nobody asked for.", mend="Start the backfill again.")
        return Progress(want, *rest)

"""Which worker gets which start: backlogs, slots and depths. Knows links; hears nothing and ends nobody.

A slot is a worker process that may be busy: warm ones with work, and fresh ones. The inline lane, threads and the event
loop have a process each and take no slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from tidemill.executors.depth import Durations
from tidemill.executors.jobs import JobState, Lane
from tidemill.executors.links.worker import Given, WorkerLink
from tidemill.executors.protocol import Role
from tidemill.graph.work import Start

THREADS_AT_ONCE = 64
DRIVERS_AND_THREADS = 1024  # threads in one process, drivers that only wait among them
ASYNC_AT_ONCE = 10_000

Spawn = Callable[[Role, "int | None"], "WorkerLink | None"]


class Dispatch:
    """The lanes of one executor. `spawn` makes a worker, or None while there is nobody to make it."""

    def __init__(self, slots: int, spawn: Spawn) -> None:
        self.slots = slots
        self.durations = Durations()
        self.warm: list[WorkerLink] = []
        self.fresh: list[WorkerLink] = []
        self.single: dict[Lane, WorkerLink] = {}  # the inline, threads and loop workers
        self.backlog: dict[Lane, deque[Given]] = {lane: deque() for lane in ("warm", "fresh", "inline", "threads", "loop")}
        self._spawn = spawn

    # ------------------------------------------------------------ room

    def free_slots(self) -> int:
        """Processes that could be busy and are not."""
        return max(0, self.slots - len(self.fresh) - sum(1 for link in self.warm if link.given))

    def room(self, lane: Lane, task: str, *, alone: bool) -> int:
        """How many starts of `task` would find a place now."""
        waiting = len(self.backlog[lane])
        if lane == "fresh":
            return max(0, self.free_slots() - waiting)
        if lane in ("threads", "loop"):
            limit = THREADS_AT_ONCE if lane == "threads" else ASYNC_AT_ONCE
            link = self.single.get(lane)
            return max(0, limit - (link.outstanding if link else 0) - waiting)
        depth = 1 if alone else self.durations.depth(task)
        if lane == "inline":
            link = self.single.get(lane)
            return max(0, depth - (link.outstanding if link else 0) - waiting)
        busy = sum(max(0, depth - len(link.given)) for link in self.warm if link.given and not (link.retired or link.revoking))
        return max(0, (0 if alone else busy) + self.free_slots() * depth - waiting)

    # ------------------------------------------------------------ giving

    def add(self, state: JobState, starts: Sequence[Start]) -> None:
        """Put starts at the end of their lane."""
        backlog = self.backlog[state.lane]
        for start in starts:
            state.active[start.n, start.attempt] = None
            backlog.append((state, start))

    def put_back(self, given: Sequence[Given]) -> None:
        """Starts that were taken back from a worker: they are first in line again."""
        for state, start in reversed(given):
            state.active[start.n, start.attempt] = None
            self.backlog[state.lane].appendleft((state, start))

    def drop(self, state: JobState, n: int, attempt: int) -> bool:
        """Take one start out of the backlog."""
        backlog = self.backlog[state.lane]
        for given in backlog:
            if given[0] is state and given[1].n == n and given[1].attempt == attempt:
                backlog.remove(given)
                return True
        return False

    def pump(self) -> None:
        """Give out what can be given."""
        for lane, backlog in self.backlog.items():
            if not backlog:
                continue
            if lane == "fresh":
                self._pump_fresh(backlog)
            elif lane == "warm":
                self._pump_warm(backlog)
            else:
                self._pump_single(lane, backlog)

    def _pump_fresh(self, backlog: deque[Given]) -> None:
        while backlog and self.free_slots() > 0:
            state, start = backlog[0]
            memory = start.memory if start.memory is not None else state.job.policy.memory
            link = self._spawn("fresh", memory)
            if link is None:
                return
            self.fresh.append(link)
            backlog.popleft()
            link.give(state, [start])

    def _pump_single(self, lane: Lane, backlog: deque[Given]) -> None:
        link = self.single.get(lane)
        if link is not None and link.retired:
            return  # its successor comes when it is gone
        if link is None:
            role: Role = "warm" if lane == "inline" else lane
            link = self._spawn(role, None)
            if link is None:
                return
            self.single[lane] = link
        while backlog:
            state = backlog[0][0]
            if lane == "inline":
                space = (1 if state.alone else self.durations.depth(state.task)) - link.outstanding
                space = 0 if link.revoking else space
            elif lane == "loop":
                space = ASYNC_AT_ONCE - link.outstanding
            else:
                space = DRIVERS_AND_THREADS - link.outstanding
            if space <= 0:
                return
            link.give(state, _taken(backlog, state, space))

    def _pump_warm(self, backlog: deque[Given]) -> None:
        while backlog:
            state = backlog[0][0]
            depth = 1 if state.alone else self.durations.depth(state.task)
            free = self.free_slots()
            link, space, others = self._best(depth, free)
            if link is None:
                if free <= 0 or len(self.warm) >= self.slots + len([one for one in self.warm if one.retired]):
                    return
                link = self._spawn("warm", None)
                if link is None:
                    return
                self.warm.append(link)
                space, others = depth, free
            # Shared out evenly, so that all end at about the same time.
            share = -(-len(backlog) // max(1, others))
            link.give(state, _taken(backlog, state, min(space, share)))

    def _best(self, depth: int, free: int) -> tuple[WorkerLink | None, int, int]:
        """The worker with the most space, that space, and how many could share."""
        best: WorkerLink | None = None
        most = others = 0
        for link in self.warm:
            if link.retired or link.revoking:
                continue
            held = len(link.given)
            if held == 0 and free <= 0:
                continue
            if held and link.given[0][0].alone:
                continue  # what is alone in its worker has nothing behind it
            space = depth - held
            if space > 0:
                others += 1
                if space > most:
                    best, most = link, space
        if best is not None and best.given and free > 0 and len(self.warm) < self.slots:
            return None, 0, 0  # rather one more worker than a queue
        return best, most, max(others, 1) + max(0, min(free, self.slots - len(self.warm)))


def _taken(backlog: deque[Given], state: JobState, count: int) -> list[Start]:
    """The first starts of the backlog, at most `count`, as long as they are of that job."""
    taken: list[Start] = []
    while backlog and len(taken) < count and backlog[0][0] is state:
        taken.append(backlog.popleft()[1])
    return taken

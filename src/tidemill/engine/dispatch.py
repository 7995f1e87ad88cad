"""Which ready units go next: by priority, then by age, as far as pools, slots and the run's own limit allow.

It knows neither what the units are nor how they run: it is told what is ready and how much room there is.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from tidemill.graph.policy import Policy

Lane = tuple[str, str, str | None]  # executor, isolation, pool
Item = tuple[int, int, "Ready"]  # -priority, order


class Ready:
    """Units of one place that may be launched."""

    __slots__ = ("driver", "path", "policy", "run", "task", "units")

    def __init__(self, run: str, path: str, policy: Policy, task: str, *, driver: bool) -> None:
        self.run = run
        self.path = path
        self.policy = policy
        self.task = task
        self.driver = driver  # waits for other tasks all its life, so it holds no slot that they may need
        self.units: deque[int] = deque()


class Dispatcher:
    """The queue of what is ready. `pools` maps names to slots; `cpus` and `gpus` are what the machine has for tasks."""

    def __init__(self, *, pools: Mapping[str, int], cpus: float, gpus: float = 0.0) -> None:
        self._pools = dict(pools)
        self._cpus, self._gpus = cpus, gpus
        self._lanes: dict[Lane, list[Item]] = {}
        self._entries: dict[tuple[str, str], Ready] = {}
        self._order = 0
        self._pool_used: dict[str, int] = {}
        self._active: dict[str, int] = {}  # run → units launched and not ended
        self._limits: dict[str, int | None] = {}  # run → at most so many at once
        self._heavy_cpus = 0.0
        self._heavy_gpus = 0.0
        self._light = 0
        self.paused: str | None = None  # why nothing new is launched

    # ---------------------------------------------------------------- what is ready

    def limit(self, run: str, max_active: int | None) -> None:
        self._limits[run] = max_active

    def add(self, run: str, path: str, policy: Policy, task: str, units: Iterable[int], *, driver: bool = False) -> None:
        """These units of `path` may be launched."""
        entry = self._entries.get((run, path))
        if entry is None:
            entry = self._entries[run, path] = Ready(run, path, policy, task, driver=driver)
        fresh = not entry.units
        entry.units.extend(units)
        if fresh and entry.units:
            self._push(entry)

    def withdraw(self, run: str, path: str) -> None:
        """Nothing more of `path` may be launched."""
        entry = self._entries.pop((run, path), None)
        if entry is not None:
            entry.units.clear()

    def forget(self, run: str) -> None:
        """Nothing more of `run` may be launched. What still runs of it counts until it has ended."""
        for key in [key for key in self._entries if key[0] == run]:
            self.withdraw(*key)
        self._limits.pop(run, None)
        if not self._active.get(run):
            self._active.pop(run, None)

    def ended(self, run: str, policy: Policy, count: int, *, driver: bool = False) -> None:
        """So many launched units are not running any more."""
        if driver:
            return
        self._active[run] = self._active.get(run, 0) - count
        if not self._active[run] and run not in self._limits:
            del self._active[run]
        if policy.pool is not None:
            self._pool_used[policy.pool] = self._pool_used.get(policy.pool, 0) - count
        if _heavy(policy):
            self._heavy_cpus -= policy.cpus * count
            self._heavy_gpus -= policy.gpus * count
        elif policy.executor == "process":
            self._light -= count

    # ---------------------------------------------------------------- what goes next

    def pump(self, room: Callable[[Policy, str], int], launch: Callable[[Ready, list[int]], None]) -> None:
        """Launch all that may go now: over all lanes the highest priority first, then the oldest."""
        if self.paused is not None:
            return
        full: set[Lane] = set()  # nothing more of these fits now
        held: list[tuple[Lane, Item]] = []
        while True:
            lane = self._next_lane(full)
            if lane is None:
                break
            heap = self._lanes[lane]
            item = heap[0]
            entry = item[2]
            free = self._free(entry)
            if free <= 0 and self._limit_reached(entry):
                held.append((lane, heapq.heappop(heap)))  # only this run has its limit reached
                continue
            fits = min(free, room(entry.policy, entry.task)) if free > 0 else 0
            if fits <= 0:
                full.add(lane)  # the whole lane waits; a big task is not overtaken for ever
                continue
            units = [entry.units.popleft() for _ in range(min(fits, len(entry.units)))]
            self._took(entry, len(units))
            launch(entry, units)
        for lane, item in held:
            heapq.heappush(self._lanes.setdefault(lane, []), item)

    def _next_lane(self, full: set[Lane]) -> Lane | None:
        """The lane with the unit that is to go next, of those with room."""
        best: tuple[tuple[int, int], Lane] | None = None
        for lane, heap in list(self._lanes.items()):
            while heap and not heap[0][2].units:
                heapq.heappop(heap)
            if not heap:
                del self._lanes[lane]
            elif lane not in full and (best is None or heap[0][:2] < best[0]):
                best = heap[0][:2], lane
        return best[1] if best else None

    def waiting(self) -> dict[str, int]:
        """How many units are ready, by pool ("" is none)."""
        found: dict[str, int] = {}
        for entry in self._entries.values():
            if entry.units:
                key = entry.policy.pool or ""
                found[key] = found.get(key, 0) + len(entry.units)
        return found

    def why_waiting(self, run: str, path: str) -> str:
        """What keeps the ready units of `path` from being launched."""
        entry = self._entries.get((run, path))
        if entry is None or not entry.units:
            return ""
        if self.paused:
            return self.paused
        if self._pool_free(entry.policy) <= 0:
            return f"pool {entry.policy.pool!r} is full ({self._pools.get(entry.policy.pool or '', 0)} slots)"
        limit = self._limits.get(run)
        if self._limit_reached(entry):
            return f"the run already has {limit} tasks running, its max_active"
        if _heavy(entry.policy) and self._free(entry) <= 0:
            return f"it needs {entry.policy.cpus:g} cpus and {entry.policy.gpus:g} gpus, and they are in use"
        return "all workers are busy"

    # ---------------------------------------------------------------- counting

    def _push(self, entry: Ready) -> None:
        self._order += 1
        lane = (entry.policy.executor, entry.policy.isolation, entry.policy.pool)
        heapq.heappush(self._lanes.setdefault(lane, []), (-entry.policy.priority, self._order, entry))

    def _pool_free(self, policy: Policy) -> int:
        if policy.pool is None:
            return 1 << 30
        return self._pools.get(policy.pool, 1 << 30) - self._pool_used.get(policy.pool, 0)

    def _limit_reached(self, entry: Ready) -> bool:
        limit = self._limits.get(entry.run)
        return not entry.driver and limit is not None and self._active.get(entry.run, 0) >= limit

    def _free(self, entry: Ready) -> int:
        policy = entry.policy
        if entry.driver:
            return 1 << 30
        free = self._pool_free(policy)
        limit = self._limits.get(entry.run)
        if limit is not None:
            free = min(free, limit - self._active.get(entry.run, 0))
        if _heavy(policy):
            cpus = self._cpus - self._heavy_cpus - min(self._light, self._cpus)
            idle = self._heavy_cpus == 0 and self._light == 0
            fits = idle or cpus >= policy.cpus
            if policy.gpus and self._gpus - self._heavy_gpus < policy.gpus:
                # One that wants more than there are would wait for ever: it goes when no other uses any.
                fits = fits and self._heavy_gpus == 0 and policy.gpus > self._gpus
            free = min(free, 1 if fits else 0)
        elif self._heavy_cpus and policy.executor == "process":
            free = min(free, int(self._cpus - self._heavy_cpus) - self._light)
        return free

    def _took(self, entry: Ready, count: int) -> None:
        policy = entry.policy
        if entry.driver:
            return
        self._active[entry.run] = self._active.get(entry.run, 0) + count
        if policy.pool is not None:
            self._pool_used[policy.pool] = self._pool_used.get(policy.pool, 0) + count
        if _heavy(policy):
            self._heavy_cpus += policy.cpus * count
            self._heavy_gpus += policy.gpus * count
        elif policy.executor == "process":
            self._light += count


def _heavy(policy: Policy) -> bool:
    return policy.cpus != 1.0 or policy.gpus > 0

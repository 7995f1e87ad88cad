"""The state of one run in memory: its places, their units, and who waits for whom.

A place is a node (or mapped group) of the graph at one spot of this run; nodes inside a mapped group have one place
per item. A unit is what is executed: one for a plain place, one per item for a mapped task. Built from the graph,
changed by `apply` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tidemill.errors import Problem
from tidemill.graph.nodes import Graph, Group, Node
from tidemill.graph.policy import Policy
from tidemill.graph.values import Handle
from tidemill.graph.work import Failure, Instant
from tidemill.machine.states import BAD_ENDS, GOOD_ENDS, TASK_ENDS, RunState, TaskState

Scope = tuple[tuple[str, int], ...]  # mapped groups around a place, outermost first, and the item of each

HOOKS = frozenset({"on_failure", "on_exit"})
AFTERMATH = frozenset({"teardown", "on_failure", "on_exit"})  # what may still start after a cancellation

_PLAIN = Policy()


class IllegalMove(Problem):
    """A move that no table allows: a defect of ours, or a log that was tampered with. Nothing was changed."""

    code = "illegal-move"

    def __init__(self, what: str, state: str, move: str, story: str = "") -> None:
        super().__init__(
            f"{what} is {state} and cannot {move}.",
            why=f"Its story: {story}" if story else "No transition of the run machine allows it.",
            mend="Run `tidemill doctor`; if it finds nothing, please report this with its output.",
        )


class Unit:
    """One piece of work and where it stands."""

    __slots__ = ("attempt", "ended", "failure", "first_ready", "grown", "handle", "lost", "ready_at", "returned", "started", "state")

    def __init__(self) -> None:
        self.state = TaskState.WAITING
        self.attempt = 0
        self.lost = 0  # attempts that went down with their worker or engine; not counted against `retries`
        self.returned = 0  # attempts that were handed out and never started; not counted either, but their numbers are used up
        self.grown = 0  # times the memory limit was raised
        self.handle: Handle | None = None
        self.failure: Failure | None = None
        self.ready_at: Instant | None = None
        self.first_ready: Instant | None = None
        self.started: Instant | None = None
        self.ended: Instant | None = None

    @property
    def tries(self) -> int:
        """Attempts that count against `retries`."""
        return self.attempt - self.lost - self.returned


class Place:
    """A node or mapped group at one spot of the run. `waits` counts what it waits for; at 0 it is considered."""

    __slots__ = (
        "asked", "bad", "because", "called_by", "children", "container", "failure", "good", "group", "held", "keys",
        "node", "path", "pending", "readers", "scope", "size", "state", "units", "upstream", "waits",
    )  # fmt: skip

    def __init__(self, path: str, node: Node | None, group: Group | None, scope: Scope, container: Place | None) -> None:
        self.path = path
        self.node = node
        self.group = group
        self.scope = scope
        self.container = container  # the mapped group around it
        self.state = TaskState.WAITING
        self.waits = 0
        self.upstream: list[Place] = []
        self.readers: list[Place] = []
        self.units: list[Unit] = []
        self.children: list[Place] = []
        self.pending = 0  # units, or children, that have not ended
        self.good = 0
        self.bad = 0
        self.size: int | None = None
        self.keys: tuple[str, ...] | None = None
        self.asked: str | None = None
        self.held: bool | None = None
        self.because = ""
        self.failure: Failure | None = None
        self.called_by: Place | None = None  # the driver that asked for it

    @property
    def mapped(self) -> bool:
        return self.group is not None or bool(self.node and self.node.over)

    @property
    def role(self) -> str:
        return self.node.role if self.node else "task"

    @property
    def policy(self) -> Policy:
        return self.node.policy if self.node else _PLAIN

    @property
    def ended(self) -> bool:
        return self.state in TASK_ENDS

    def label(self, n: int) -> str:
        """How people see unit `n`: "load", "load[3]", "load[fr]"."""
        if not self.mapped:
            return self.path
        return f"{self.path}[{self.keys[n] if self.keys else n}]"

    def aggregate(self) -> TaskState:
        """What the place is once nothing of it is pending."""
        if self.bad == 0:
            return TaskState.SUCCEEDED
        states = {unit.state for unit in self.units} | {child.state for child in self.children}
        for state in (TaskState.FAILED, TaskState.LOST, TaskState.CANCELLED, TaskState.BLOCKED):
            if state in states:
                return state
        return TaskState.FAILED


class Run:
    """One run. Read it freely; only `apply` changes it."""

    def __init__(self, id: str, graph: Graph) -> None:
        self.id = id
        self.graph = graph
        self.state = RunState.QUEUED
        self.places: dict[str, Place] = {}
        self.body_open = 0  # places that have not ended, without the hooks of the flow
        self.hooks_open = 0
        self.stopping: str | None = None  # why nothing new may start
        self.stopped_by = ""
        self.failure: tuple[str, Failure] | None = None  # the first that mattered: (label, why)
        self.because = ""
        self.begun_at: Instant | None = None
        self.inherited: dict[str, dict[int, Handle]] = {}
        self.entries = 0  # events applied
        self._groups = {group.key: group for group in graph.groups}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._inside: dict[str, list[Node | Group]] = {}
        self._nodes = graph.by_key()
        self._lay_out()

    # ---------------------------------------------------------------- structure

    def _lay_out(self) -> None:
        every: list[Node | Group] = [*self.graph.groups, *self.graph.nodes]
        for item in every:
            if isinstance(item, Group) and not item.mapped:
                continue  # a flow that was merely called is a label
            around = self.chain(item.parent if isinstance(item, Group) else item.group)
            self._inside.setdefault(around[-1] if around else "", []).append(item)
        self.link(self.add(self._inside.get("", ()), (), None))

    def chain(self, group: str) -> tuple[str, ...]:
        """The mapped groups from the outermost to `group`."""
        found = self._chains.get(group)
        if found is None:
            up: list[str] = []
            key = group
            while key:
                if self._groups[key].mapped:
                    up.append(key)
                key = self._groups[key].parent
            found = self._chains[group] = tuple(reversed(up))
        return found

    def group(self, key: str) -> Group:
        return self._groups[key]

    def inside(self, group: str) -> list[Node | Group]:
        """What the mapped group `group` repeats."""
        return self._inside.get(group, [])

    def add(self, items: Iterable[Node | Group], scope: Scope, container: Place | None) -> list[Place]:
        """Make a place of each item in `scope`. They still have to be linked."""
        added = []
        for item in items:
            path = self.path(item.key, scope)
            if isinstance(item, Group):
                place = Place(path, None, item, scope, container)
            else:
                place = Place(path, item, None, scope, container)
                place.units = [] if item.over else [Unit()]
                place.pending = len(place.units)
            self.places[path] = place
            self._count_open(place, 1)
            added.append(place)
        return added

    def link(self, places: Iterable[Place]) -> None:
        """Let each place know what it waits for."""
        for place in places:
            what = place.node or place.group
            if what is None:
                continue
            for key in what.waits_for():
                before = self.seen_from(key, place.scope)
                if before is None or before is place:
                    continue
                place.upstream.append(before)
                if not before.ended:
                    before.readers.append(place)
                    place.waits += 1

    def path(self, key: str, scope: Scope) -> str:
        """Where the node or group `key` is within the items of `scope`: "region[2].load"."""
        prefix = done = ""
        for group, index in scope:
            rest = group[len(done) + 1 :] if done else group
            prefix = f"{prefix}.{rest}[{index}]" if prefix else f"{rest}[{index}]"
            done = group
        rest = key.removeprefix(done + ".") if done else key
        return f"{prefix}.{rest}" if prefix else rest

    def seen_from(self, key: str, scope: Scope) -> Place | None:
        """The place that a reference to `key` means for a reader in `scope`.

        Inside a mapped group that the reader is not in, it is the place of that group: all of its items.
        """
        target = self._key_chain(key)
        depth = 0
        while depth < len(target) and depth < len(scope) and target[depth] == scope[depth][0]:
            depth += 1
        if depth < len(target):
            return self.places.get(self.path(target[depth], scope[:depth]))
        return self.places.get(self.path(key, scope[:depth]))

    def _key_chain(self, key: str) -> tuple[str, ...]:
        if key in self._groups:
            return self.chain(self._groups[key].parent)
        node = self._nodes.get(key)
        return self.chain(node.group) if node else ()

    # ---------------------------------------------------------------- counting

    def _count_open(self, place: Place, change: int) -> None:
        if self.is_flow_hook(place):
            self.hooks_open += change
        else:
            self.body_open += change

    @staticmethod
    def is_flow_hook(place: Place) -> bool:
        """Whether it is a hook of the whole flow (one of an inner flow guards that flow's nodes)."""
        return place.node is not None and place.node.role in HOOKS and not place.node.guards

    def note_end(self, place: Place) -> None:
        self._count_open(place, -1)

    def counts(self) -> dict[str, int]:
        """Units by state; a place that ended before it had any counts as one."""
        found: Counter[str] = Counter()
        for place in self.places.values():
            if place.group is not None:
                if place.state in TASK_ENDS and not place.children and place.size is None:
                    found[place.state] += 1
            elif place.units:
                found.update(unit.state for unit in place.units)
            elif place.size is None or not (place.size or place.ended):
                found[place.state] += 1
        return {str(state): n for state, n in found.items()}

    def bad_places(self) -> Iterator[Place]:
        """Places whose end makes the run fail: not those whose driver took the failure upon itself."""
        for place in self.places.values():
            if place.state in BAD_ENDS and place.called_by is None:
                yield place


def is_good(place: Place) -> bool:
    """Whether it ended with a result."""
    return place.state in GOOD_ENDS

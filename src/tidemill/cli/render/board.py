"""What a run looks like while it goes on: one row for each node, counted event by event. Pure: no clock, no screen.

Rows cost nothing while nothing happens to them, so a run of 100,000 units is followed at the price of its events.
Reads the machine's run and events; changes neither.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from tidemill.graph.nodes import Graph, Node
from tidemill.graph.work import Failure, Instant, Note
from tidemill.machine import events as ev
from tidemill.machine.run import Place, Run
from tidemill.machine.states import BAD_ENDS, GOOD_ENDS, TaskState

__all__ = ["Board", "Row"]

_RECENT = 50


class Row:
    """One node of the graph (all its units and places together), or the calls of one task in a dynamic flow."""

    __slots__ = (
        "counts", "depth", "ended", "expected", "failure", "key", "label", "last", "many", "opened", "progress", "retries", "started",
        "total",
    )  # fmt: skip

    def __init__(self, key: str, label: str, depth: int, *, many: bool, expected: float | None = None) -> None:
        self.key = key
        self.label = label
        self.depth = depth
        self.many = many  # mapped, inside a mapped group, or called in a loop: shown as counts
        self.expected = expected  # seconds, by history
        self.total = 0  # units that are known of
        self.opened = 0  # places
        self.counts: Counter[TaskState] = Counter()  # of ended, running and retrying units
        self.retries = 0
        self.failure: Failure | None = None
        self.last = ""  # the label of the unit of `failure`
        self.started: Instant | None = None
        self.ended: Instant | None = None
        self.progress: float | None = None

    @property
    def done(self) -> int:
        """Units that have ended."""
        return sum(n for state, n in self.counts.items() if state not in (TaskState.RUNNING, TaskState.RETRYING))

    @property
    def running(self) -> int:
        return max(0, self.counts[TaskState.RUNNING])

    @property
    def bad(self) -> int:
        return sum(self.counts[state] for state in BAD_ENDS)

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do, as far as is known."""
        return self.opened > 0 and self.done >= self.total

    @property
    def state(self) -> TaskState:
        """What it is on the whole."""
        counts = self.counts
        for state in (TaskState.RUNNING, TaskState.RETRYING):
            if counts[state] > 0:
                return state
        if not self.opened:
            return TaskState.WAITING
        if not self.over:
            return TaskState.RUNNING if self.done else TaskState.READY
        for state in (TaskState.FAILED, TaskState.LOST, TaskState.CANCELLED, TaskState.BLOCKED, TaskState.SUCCEEDED, TaskState.REUSED):
            if counts[state]:
                return state
        return TaskState.SKIPPED if counts[TaskState.SKIPPED] else TaskState.SUCCEEDED

    def left(self, now: Instant) -> float | None:
        """Seconds until it is done, guessed from its own pace, its own word, or history."""
        if self.started is None or self.over:
            return None
        past = now - self.started
        if self.many and self.done and self.total > self.done:
            return past / self.done * (self.total - self.done)
        if self.progress:
            return past / self.progress * (1 - self.progress)
        return max(0.0, self.expected - past) if self.expected is not None else None


class Heading:
    """A flow inside the flow: a line above its rows."""

    __slots__ = ("depth", "label")

    def __init__(self, label: str, depth: int) -> None:
        self.label = label
        self.depth = depth


class Board:
    """All rows of a run, in the order of its graph. `expected` are seconds by place; "" is the run."""

    def __init__(self, graph: Graph, expected: Mapping[str, float] | None = None) -> None:
        self.graph = graph
        self.expected = dict(expected or {})
        self.rows: dict[str, Row] = {}
        self.lines: list[Row | Heading] = []  # in order
        self.active: dict[str, Row] = {}  # rows with something running or waiting for a retry
        self.recent: deque[Row] = deque(maxlen=_RECENT)  # rows that ended, the newest last
        self.finished: ev.Finished | None = None
        self.begun: Instant | None = None
        self.stopping = ""
        self._groups = {group.key: group for group in graph.groups}
        self._headed: set[str] = set()
        self._waiting = 0
        for node in graph.nodes:
            self._add(node)

    def _add(self, node: Node) -> None:
        around, mapped, key = [], False, node.group
        while key:
            group = self._groups[key]
            around.append(group)
            mapped = mapped or group.mapped
            key = group.parent
        for depth, group in enumerate(reversed(around)):
            if group.key not in self._headed:
                self._headed.add(group.key)
                self.lines.append(Heading(group.key.rpartition(".")[2], depth))
        label = node.key.removeprefix(f"{node.group}.") if node.group else node.key
        row = Row(node.key, label, len(around), many=bool(node.over) or mapped, expected=self.expected.get(node.key))
        self.rows[node.key] = row
        self.lines.append(row)

    def _row(self, place: Place) -> Row | None:
        if place.node is None:
            return None
        if place.called_by is None:
            return self.rows.get(place.node.key)
        driver = place.called_by
        key = f"{driver.path}\n{place.node.task.qualname}"
        row = self.rows.get(key)
        if row is None:
            above = self.rows.get(driver.node.key) if driver.node else None
            label = place.node.task.qualname.rpartition(".")[2]
            row = self.rows[key] = Row(key, label, above.depth + 1 if above else 0, many=True)
            at = self.lines.index(above) + 1 if above in self.lines else len(self.lines)
            while at < len(self.lines) and above is not None and self.lines[at].depth > above.depth:
                at += 1
            self.lines.insert(at, row)
        return row

    # ---------------------------------------------------------------- what happened

    def take(self, run: Run, events: Iterable[ev.Event]) -> list[Row]:
        """Count what these events say; return the rows that changed, each once."""
        changed: dict[str, Row] = {}
        for event in events:
            if isinstance(event, ev.Begun):
                self.begun = event.at
            elif isinstance(event, ev.Finished):
                self.finished = event
            elif isinstance(event, ev.CancelAsked):
                self.stopping = event.because or f"cancelled by {event.by}"
            path = getattr(event, "place", None)
            place = run.places.get(path) if path is not None and not isinstance(event, ev.Called) else None
            row = self._row(place) if place is not None else None
            if row is None or place is None:
                continue
            self._count(row, place, run, event)
            changed[row.key] = row
        for row in changed.values():
            self._file(row)
        return list(changed.values())

    def adopt(self, run: Run) -> None:
        """Begin with a run as it stands: one that goes on after its process was gone."""
        self.begun = run.begun_at
        self.stopping = run.stopping or ""
        for place in run.places.values():
            row = self._row(place)
            if row is None or (place.state is TaskState.WAITING and not place.ended):
                continue
            row.opened += 1
            row.total += len(place.units) if place.units or place.size is not None else 1
            if not place.units and place.size is None:
                row.counts[place.state] += 1
            row.counts.update(unit.state for unit in place.units if unit.state not in (TaskState.WAITING, TaskState.READY))
            begun = [unit.started for unit in place.units if unit.started is not None]
            row.started = min(begun, default=None) if row.started is None else min([row.started, *begun])
            row.ended = max((unit.ended for unit in place.units if unit.ended is not None), default=row.ended)
            self._file(row)

    def hear(self, run: Run, note: Note) -> Row | None:
        """Take what running code says of its progress."""
        place = run.places.get(note.job.partition("/")[2])
        row = self._row(place) if place is not None else None
        if row is None or note.kind != "progress" or row.many or not isinstance(note.value, float):
            return None
        row.progress = note.value
        return row

    def _count(self, row: Row, place: Place, run: Run, event: ev.Event) -> None:
        counts = row.counts
        if isinstance(event, ev.Opened):
            row.opened += 1
            row.total += event.size if event.size is not None else 1
            if kept := run.inherited.get(place.path):
                counts[TaskState.REUSED] += len(kept)
        elif isinstance(event, ev.Launched):
            counts[TaskState.RUNNING] += len(event.starts)
            row.started = event.at if row.started is None else row.started
        elif isinstance(event, ev.Settled):
            self._settled(row, place, event)
        elif isinstance(event, ev.Handed):
            counts[TaskState.RUNNING] -= len(event.units)
        elif isinstance(event, ev.Woken):
            counts[TaskState.RETRYING] -= len(event.units)
        elif isinstance(event, ev.Reused):
            counts[TaskState.REUSED] += len(event.units)
        elif isinstance(event, ev.Closed):
            row.opened += 1
            row.total += 1
            counts[event.state] += 1
            self._failed(row, place.path, event.failure)
        elif isinstance(event, ev.Ended):
            for n, state in event.units:
                counts[state] += 1
                self._failed(row, place.label(n), event.failure)
        if row.over:
            row.ended = event.at
            counts[TaskState.RUNNING] = counts[TaskState.RETRYING] = 0

    def _settled(self, row: Row, place: Place, event: ev.Settled) -> None:
        counts = row.counts
        again = {n for n, _ in event.retries}
        counts[TaskState.RUNNING] -= len(event.outcomes)
        good = 0
        for outcome in event.outcomes:
            if outcome.failure is None:
                good += 1
            elif outcome.n in again:
                counts[TaskState.RETRYING] += 1
                row.retries += 1
                self._failed(row, place.label(outcome.n), outcome.failure)
            else:
                counts[place.units[outcome.n].state] += 1
                self._failed(row, place.label(outcome.n), outcome.failure)
        counts[TaskState.SUCCEEDED] += good
        first = min(outcome.started for outcome in event.outcomes)
        row.started = first if row.started is None else min(row.started, first)

    @staticmethod
    def _failed(row: Row, label: str, failure: Failure | None) -> None:
        if failure is not None:
            row.failure, row.last = failure, label

    def _file(self, row: Row) -> None:
        if row.over:
            self.active.pop(row.key, None)
            if row in self.recent:
                self.recent.remove(row)
            self.recent.append(row)
        elif row.running or row.counts[TaskState.RETRYING] or row.done:
            self.active[row.key] = row

    # ---------------------------------------------------------------- on the whole

    def totals(self) -> Counter[str]:
        """Units by state. What is not known of yet counts as one waiting unit for each node."""
        found: Counter[str] = Counter()
        for row in self.rows.values():
            for state, n in row.counts.items():
                if n > 0:
                    found[str(state)] += n
            known = row.done + row.running + max(0, row.counts[TaskState.RETRYING])
            found["waiting"] += max(0, row.total - known) if row.opened else 1
        return found

    def left(self, now: Instant) -> float | None:
        """Seconds until the run should be over, by history; None when there is none, or it takes longer than ever."""
        whole = self.expected.get("")
        if whole is None or self.begun is None:
            return None
        return whole - (now - self.begun) if whole > now - self.begun else None

    def failed_rows(self) -> list[Row]:
        return [row for row in self.rows.values() if row.bad]

    def good_rows(self) -> int:
        return sum(1 for row in self.rows.values() if row.over and row.state in GOOD_ENDS)

"""The seams: what the engine asks of the world, as Protocols and the plain rows that pass through them.

An adapter exists when it passes the port's conformance suite in `tests/conformance`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from tidemill.graph.assets import Environment, RefRow
from tidemill.graph.nodes import Graph
from tidemill.graph.policy import Policy
from tidemill.graph.values import Expr, Handle, PathStep
from tidemill.graph.work import Failure, Instant, Job, Question, Report, Start
from tidemill.machine.states import RunState, TaskState

# ---------------------------------------------------------------- rows


class RunRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run, as lists show it."""

    id: str
    key: str  # unique: a second creation with the same key finds the first
    flow: str
    graph: str  # digest of the graph
    state: RunState = RunState.QUEUED
    because: str = ""  # why it was created; once ended, why it ended so
    origin: str = "cli"  # cli, python, schedule, retry, …
    environment: str = "default"
    project: str = ""  # where its definitions are: what the loader was given
    params: dict[str, str] = {}  # previews, for people; the exact values are in the graph
    retry_of: str | None = None
    created_at: Instant = 0.0
    started_at: Instant | None = None
    ended_at: Instant | None = None
    owner: str | None = None  # engine that drives it
    epoch: int = 0  # rises with every owner; writes with an older one are refused
    lease_until: Instant | None = None
    recoveries: int = 0
    cancel: str | None = None  # who asked for cancellation and why, until an engine has seen it
    counts: dict[str, int] = {}  # units by state, once ended (and now and then before)
    output: Expr | None = None  # resolved, once succeeded
    failure: Failure | None = None  # the first that mattered


class TaskRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One task of one run. `unit` 0 is the node itself; of a mapped node the items are 1, 2, …"""

    run: str
    place: str
    unit: int
    task: str  # "module:qualname"
    state: TaskState
    name: str = ""  # "load[3]", "load[fr]": as people see it
    attempt: int = 0
    size: int | None = None  # of a mapped node: how many items
    because: str = ""
    ready_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    cpu: float = 0.0
    memory: int = 0
    output: Handle | None = None
    failure: Failure | None = None


class AttemptRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An attempt that did not become its task's outcome: it failed, was lost, or was stopped, and another followed."""

    run: str
    place: str
    unit: int
    attempt: int
    started_at: Instant
    ended_at: Instant
    failure: Failure | None = None
    cpu: float = 0.0
    memory: int = 0


class NoteRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What running code said of itself: a metric, its progress (the last one only), a report, a link."""

    run: str
    place: str
    unit: int
    attempt: int
    kind: str
    name: str
    at: Instant
    value: float | str | None = None
    handle: Handle | None = None


class EventRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One entry of the event log. `seq` is its place in commit order over all runs, `n` that within its run (from 1)."""

    run: str
    n: int
    kind: str  # "task.settled"
    at: Instant
    body: bytes  # JSON of the machine's event
    seq: int = 0  # given by the store
    chain: str = ""  # hash over the run's entries up to this one; given by the store


class RunChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Columns of a run that change. `UNSET` ones stay."""

    state: RunState | msgspec.UnsetType = msgspec.UNSET
    because: str | msgspec.UnsetType = msgspec.UNSET
    started_at: Instant | msgspec.UnsetType = msgspec.UNSET
    ended_at: Instant | msgspec.UnsetType = msgspec.UNSET
    counts: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    output: Expr | msgspec.UnsetType | None = msgspec.UNSET
    failure: Failure | msgspec.UnsetType | None = msgspec.UNSET
    cancel: str | msgspec.UnsetType | None = msgspec.UNSET


class MemoRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Key of a computation → its result. `parts` are what the key was made of, so that two keys can be diffed."""

    key: str
    node: str
    handle: Handle
    at: Instant
    run: str
    parts: dict[str, str] = {}
    seconds: float = 0.0
    expires_at: Instant | None = None


class Commit(msgspec.Struct, kw_only=True):
    """All that one step of one run changes. It is stored whole or not at all, and only if `epoch` is the run's."""

    run: str
    epoch: int
    events: list[EventRow] = []
    tasks: list[TaskRow] = []
    attempts: list[AttemptRow] = []
    notes: list[NoteRow] = []
    memos: list[MemoRow] = []
    refs: list[RefRow] = []
    change: RunChange | None = None


class EngineRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A process that drives runs."""

    id: str
    host: str
    pid: int
    started_at: Instant
    seen_at: Instant
    command: str = ""


class Page(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How much of a list, and from where. `after` is the opaque key of the last row of the page before."""

    limit: int = 100
    after: str | None = None


class RunFilter(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which runs. Everything given must hold."""

    flow: str | None = None
    states: tuple[RunState, ...] = ()
    environment: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None


class TaskFilter(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Which tasks of a run. By default the nodes (unit 0); `place` opens a mapped one and lists its items."""

    place: str | None = None  # its items (unit ≥ 1)
    states: tuple[TaskState, ...] = ()


class Violation(msgspec.Struct, kw_only=True):
    """A broken promise that the auditor found."""

    rule: str  # the oracle query's name
    detail: str


# ---------------------------------------------------------------- ports


class Clock(Protocol):
    """Time and chance. The only source of either."""

    def now(self) -> Instant:
        """Seconds since 1970-01-01 UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def token(self) -> str:
        """A new id: unique, and sorting by the time it was made."""


class Store(Protocol):
    """The metadata store: what was, durably. Calls block; the engine calls it from one thread of its own.

    It decides nothing. Every call is one transaction.
    """

    def create_run(self, run: RunRow, graph: Graph, events: Sequence[EventRow] = ()) -> RunRow:
        """Record a run, durably, and return it. If `run.key` is taken, change nothing and return the run that has it."""

    def commit(self, commits: Sequence[Commit], *, durable: bool) -> list[str]:
        """Store `commits` in one transaction and return the ids of runs whose epoch was not current: theirs are left out.

        `durable`: do not return before it survives power loss. Later rows of the same task replace earlier ones.
        """

    def claim(self, engine: str, *, now: Instant, until: Instant, limit: int, only: str | None = None) -> list[RunRow]:
        """Take up to `limit` unfinished runs that nobody holds (no owner, or its lease is over), oldest first; `only`: this run.

        Each gets the next epoch, `engine` as owner and the lease `until`. Two engines never get the same run for one epoch.
        """

    def renew(self, engine: EngineRow, *, until: Instant) -> list[RunRow]:
        """Prolong every lease that `engine` holds, note that it lives, and return the runs it still holds (with `cancel`)."""

    def release(self, engine: str, runs: Sequence[str]) -> None:
        """Give up the leases on `runs`, so that another engine can claim them at once."""

    def ask_cancel(self, run: str, *, by: str, because: str, now: Instant) -> RunRow:
        """Record, durably, that `run` is to be cancelled. Repeating it is harmless. Raises `Unknown`."""

    def graph(self, digest: str) -> Graph:
        """The graph of that digest. Raises `Unknown`."""

    def run(self, id: str) -> RunRow:
        """One run; `id` may be a unique beginning of it. Raises `Unknown`."""

    def runs(self, which: RunFilter, page: Page) -> list[RunRow]:
        """Runs, newest first."""

    def tasks(self, run: str, which: TaskFilter, page: Page) -> list[TaskRow]:
        """Tasks of a run in the order of their place and unit."""

    def task(self, run: str, place: str, unit: int) -> TaskRow:
        """One task. Raises `Unknown`."""

    def counts(self, run: str) -> dict[str, dict[str, int]]:
        """Per place: how many units are in which state (of mapped nodes the items, else the one unit)."""

    def attempts(self, run: str, place: str, unit: int) -> list[AttemptRow]:
        """Earlier attempts of a task, in order."""

    def notes(self, run: str, place: str | None = None) -> list[NoteRow]:
        """What the code of a run said of itself, in order."""

    def events(self, run: str, *, after: int = 0, limit: int | None = None) -> Iterator[EventRow]:
        """The log of one run, in order, from entry `after` + 1 on."""

    def stream(self, *, after: int, limit: int) -> list[EventRow]:
        """The log of all runs, in commit order: no entry appears later at or below a `seq` that was returned."""

    def durations(self, flow: str, *, runs: int = 20) -> dict[str, float]:
        """Median seconds of each task place over the last succeeded runs of `flow`; key "" is the run itself."""

    def recall(self, keys: Sequence[str], *, now: Instant) -> dict[str, MemoRow]:
        """Remembered results that have not expired."""

    def publish(self, refs: Sequence[RefRow], *, expected: Mapping[tuple[str, str], str] | None = None) -> list[RefRow]:
        """Move pointers, durably, all in one transaction, and return them as they are now.

        `expected`: (asset, partition) → version that the environment must show still ("" is none); if one does not hold,
        nothing is moved and `Moved` is raised, which names them.
        """

    def refs(self, environment: str, assets: Collection[str] | None = None) -> list[RefRow]:
        """What `environment` shows: its own pointers, and for all else those of the environments it stands on."""

    def versions(self, asset: str, page: Page, *, environment: str | None = None, partition: str | None = None) -> list[RefRow]:
        """Every move of a pointer of `asset`, newest first."""

    def environments(self) -> list[Environment]:
        """All environments. "default" is always there."""

    def create_environment(self, environment: Environment) -> Environment:
        """Record an environment: one row, however much its parent shows. If it is there already with the same parent, return it."""

    def drop_environment(self, name: str) -> None:
        """Forget an environment and its own pointers. Raises `Unknown`, or a `Problem` if others stand on it."""

    def memos(self, keys: Sequence[str]) -> dict[str, MemoRow]:
        """What was remembered under these keys, expired or not: for what a version was computed from."""

    def asset_history(self, assets: Sequence[str], *, last: int = 20) -> dict[str, tuple[float, ...]]:
        """Seconds of the last computations of each asset, newest first."""

    def live(self) -> Iterator[str]:
        """Digests of all values that some row still names: what garbage collection must keep."""

    def forget(self, *, ended_before: Instant, keep_per_flow: int) -> list[str]:
        """Delete ended runs older than that, except the newest of each flow; return their ids."""

    def audit(self, *, now: Instant) -> list[Violation]:
        """Run every oracle query (`doctor`). Empty when all promises hold."""

    def engines(self) -> list[EngineRow]:
        """Processes that drive or drove runs, newest first."""

    def close(self) -> None:
        """Let go of connections and locks."""


class Executor(Protocol):
    """Places where attempts run. It knows no graph, no retry and no schedule.

    Calls do not block: what happens comes back through the function given to `start`, called on the event loop.
    """

    async def start(self, report: Callable[[Report], None]) -> None:
        """Get ready. From now on every outcome is reported, at least once."""

    def room(self, policy: Policy, task: str) -> int:
        """How many starts of `task` it would take now without letting them wait long."""

    def launch(self, job: Job, starts: Sequence[Start]) -> None:
        """Run attempts. Launching the same attempt twice starts it once."""

    def stop(self, job: str, n: int, attempt: int, *, cause: Literal["cancelled", "timeout"]) -> None:
        """End an attempt, first gently, then by force. It is reported with that cause when it is seen dead."""

    def ask(self, question: Question) -> None:
        """Have a question about values answered."""

    def reply(self, job: str, node: str, result: Expr | None, failure: Failure | None) -> None:
        """Answer the call for `node` that the driver `job` made."""

    def forget(self, run: str) -> None:
        """A run has ended: nothing of it is needed any more."""

    async def close(self, *, grace: float) -> None:
        """End everything that runs, within `grace` seconds, and leave no process behind."""


class Artifacts(Protocol):
    """Values by content."""

    def keep(self, value: object, *, declared: str = "", paths: Literal["content", "name"] = "content") -> Handle:
        """Store a value, whole or not at all. `paths="name"`: of a `Path` keep the words only, not what is there."""

    def load(self, handle: Handle, *, want: type | None = None) -> object:
        """The value again, verified."""

    def load_part(self, handle: Handle, path: tuple[PathStep, ...]) -> object:
        """The part of a value at `path`, verified."""


class Loader(Protocol):
    """Reads a project's definitions where its code may be imported: never in this process."""

    async def build(self, flow: str | None, raw: Mapping[str, object], *, shown: Mapping[str, Handle] | None = None) -> tuple[Graph, str]:
        """The graph of `flow` (None: the only one), which may read what is `shown`, and where it was defined. Raises `Problem`."""

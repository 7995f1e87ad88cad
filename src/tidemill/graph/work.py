"""Work and its outcome, as they travel between the engine and the places where code runs.

A `Job` is what all starts of one place in a graph have in common; a `Start` is one attempt of one unit of it.
Knows neither sockets nor processes: `executors/` carry these values, `machine/` decides on them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tidemill.errors import ProblemReport
from tidemill.graph.assets import CheckResult
from tidemill.graph.nodes import Node, TaskRef
from tidemill.graph.policy import Policy
from tidemill.graph.values import At, Expr, Handle

Instant: TypeAlias = float
"""A point in time: seconds since 1970-01-01 UTC."""

Cause: TypeAlias = Literal[
    "error",  # the function raised
    "timeout",  # its run, queue or total time was up
    "memory",  # it passed its memory limit, or the machine's
    "signal",  # a signal ended its process
    "exit",  # it called exit() or its process ended without a result
    "lost",  # the worker, or the machine, went away
    "result",  # what it returned cannot be stored
    "input",  # what it was to be given cannot be read
    "check",  # what it computed did not pass its checks, and was not published
    "cancelled",
]


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an attempt did not succeed. All text is masked before it gets here."""

    cause: Cause
    message: str = ""
    type: str = ""  # qualified name of the exception
    mro: tuple[str, ...] = ()  # qualified names of its classes, for `retry_on`
    traceback: str = ""  # the user's frames only
    signal: int | None = None
    exit_code: int | None = None
    retry_after: float | None = None  # seconds: what the task's own backoff function answered
    problem: ProblemReport | None = None
    exception: bytes | None = None  # pickled; only a worker ever reads it


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How attempt `attempt` of unit `n` ended: `handle` when it succeeded, `failure` when not."""

    n: int
    attempt: int
    started: Instant
    ended: Instant
    handle: Handle | None = None
    failure: Failure | None = None
    cpu: float = 0.0  # seconds of processor time
    memory: int = 0  # peak bytes, 0 when not measured
    checks: tuple[CheckResult, ...] = ()  # what checks found, whether it succeeded or not


class Start(msgspec.Struct, frozen=True, array_like=True):
    """One attempt of one unit. `args` are those that differ from unit to unit and are not in `Job.over`."""

    n: int
    attempt: int
    args: dict[str, Expr] | None = None
    memory: int | None = None  # bytes; overrides the policy's after a kill for memory


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all units of one place share: the function, its fixed arguments, its policy.

    Every expression in it is resolved: only `At`, `Constant`, `Nothing` and `Several` of these.
    `over` are the mapped parameters of whose value unit n gets the n-th part; where the parts have
    handles of their own, they travel in `Start.args` instead.
    """

    id: str  # unique: "<run>/<place>"
    run: str
    flow: str
    place: str  # "load", "region[2].load": the path of the node in this run
    task: TaskRef
    args: dict[str, Expr] = {}
    over: dict[str, At] = {}
    resources: tuple[str, ...] = ()
    policy: Policy = Policy()
    calls_with: Literal["keywords", "bind"] = "keywords"
    mapped: bool = False
    driver: bool = False  # the body of a dynamic flow
    asset: str = ""  # the result is a version of this asset: its checks are run on it
    names: tuple[str, ...] | None = None  # of a mapped job over a dict: the keys of its units
    environment: str = "default"
    returns: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a value that only a worker can say: its truth, or what it has to map over."""

    id: str  # "<run>/<place>"
    want: Literal["truth", "shape"]
    of: tuple[Expr, ...]  # one answer each


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="answer"):
    """The answer to a `Question`: per expression its truth, or its length and (of a dict) its keys as text."""

    id: str
    truths: tuple[bool, ...] = ()
    lengths: tuple[int, ...] = ()
    keys: tuple[tuple[str, ...] | None, ...] = ()
    failure: Failure | None = None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Attempts of one job that ended."""

    job: str
    outcomes: list[Outcome]


class Returned(msgspec.Struct, frozen=True, tag="returned"):
    """Attempts that were taken but never started: (n, attempt). They may be launched again under the same number."""

    job: str
    starts: list[tuple[int, int]]


class Note(msgspec.Struct, frozen=True, omit_defaults=True, tag="note"):
    """What running code said of itself: a metric, its progress, a report, a link."""

    job: str
    n: int
    attempt: int
    kind: Literal["metric", "progress", "report", "link"]
    name: str
    value: float | str | None = None
    handle: Handle | None = None


class CallMade(msgspec.Struct, frozen=True, tag="call"):
    """The driver of a dynamic flow asks for `node`. The reply carries the same `node.key`."""

    job: str  # of the driver
    node: Node


class Room(msgspec.Struct, frozen=True, tag="room"):
    """The executor can take more work than before. A hint that something may be launched now."""


Report: TypeAlias = Done | Returned | Note | Answer | CallMade | Room

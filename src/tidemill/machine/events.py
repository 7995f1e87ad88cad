"""The facts of a run, in the order they became true. The log keeps them; `fold` makes the state of them again.

Events are as coarse as the messages they come from: one `Settled` may tell of hundreds of units of a mapped task.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tidemill.graph.nodes import Node
from tidemill.graph.values import Handle
from tidemill.graph.work import Failure, Instant, Outcome
from tidemill.machine.states import RunState, TaskState


class _Event(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    at: Instant


class Begun(_Event, tag="run.begun", frozen=True):
    """An engine took the run up."""


class Inherited(_Event, tag="run.inherited", frozen=True):
    """A retry: what succeeded in the run before and is taken over. Per place path: (n, handle) of each unit."""

    run: str  # the run before
    units: dict[str, list[tuple[int, Handle]]] = {}


class Opened(_Event, tag="task.opened", frozen=True):
    """A place may go: its units are ready. `size` and `keys` are given for what is mapped."""

    place: str
    size: int | None = None
    keys: tuple[str, ...] | None = None


class Judged(_Event, tag="task.judged", frozen=True):
    """The conditions of a place were looked at: `held` is whether all of them hold."""

    place: str
    held: bool


class Closed(_Event, tag="task.closed", frozen=True):
    """A place ended without running: skipped, blocked, cancelled, or failed because it could not be opened."""

    place: str
    state: TaskState
    because: str
    failure: Failure | None = None


class Launched(_Event, tag="task.launched", frozen=True):
    """Attempts were handed to a worker: (n, attempt)."""

    place: str
    starts: list[tuple[int, int]]


class Settled(_Event, tag="task.settled", frozen=True):
    """Attempts ended, and were accepted. `retries` are (n, not before) of those that will be tried again."""

    place: str
    outcomes: list[Outcome]
    retries: list[tuple[int, Instant]] = []


class Handed(_Event, tag="task.returned", frozen=True):
    """Attempts that had been handed out were never started, or died with their worker: ready again. (n, why)."""

    place: str
    units: list[tuple[int, str]]


class Reused(_Event, tag="task.reused", frozen=True):
    """Results that were there already were taken for ready units: (n, handle)."""

    place: str
    units: list[tuple[int, Handle]]
    because: str = ""


class Ended(_Event, tag="task.ended", frozen=True):
    """Units ended that no attempt report ended: cancelled, out of time, or lost. (n, state)."""

    place: str
    units: list[tuple[int, TaskState]]
    because: str
    failure: Failure | None = None


class Woken(_Event, tag="task.woken", frozen=True):
    """The wait before another attempt is over."""

    place: str
    units: list[int]


class Called(_Event, tag="task.called", frozen=True):
    """The body of a dynamic flow asked for a further node."""

    place: str  # of the driver
    node: Node


class CancelAsked(_Event, tag="run.cancel_asked", frozen=True):
    """Somebody, or a rule, wants the run to end."""

    by: str
    because: str = ""


class Recovered(_Event, tag="run.recovered", frozen=True):
    """Another engine took the run up after the one before was gone."""

    by: str


class Finished(_Event, tag="run.finished", frozen=True):
    """The run ended. Nothing follows."""

    state: RunState
    because: str = ""


Event: TypeAlias = (
    Begun
    | Inherited
    | Opened
    | Judged
    | Closed
    | Launched
    | Settled
    | Handed
    | Reused
    | Ended
    | Woken
    | Called
    | CancelAsked
    | Recovered
    | Finished
)

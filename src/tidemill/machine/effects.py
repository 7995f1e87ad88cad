"""What the engine must do after the machine has decided. Values only; `engine.perform` is the one place that acts."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tidemill.graph.nodes import Node
from tidemill.graph.values import Expr
from tidemill.graph.work import Failure, Instant
from tidemill.machine.states import RunState


class MakeReady(msgspec.Struct, frozen=True):
    """Units of `place` can be launched as soon as limits allow."""

    place: str
    units: range | tuple[int, ...]


class Ask(msgspec.Struct, frozen=True):
    """Find out the truth or the shape of values, and tell the machine (`answer`)."""

    place: str
    want: Literal["truth", "shape"]
    of: tuple[Expr, ...]


class WakeAt(msgspec.Struct, frozen=True):
    """Tell the machine when `at` has come, for these units of `place`: a retry, or a limit in time."""

    at: Instant
    place: str
    n: int
    why: Literal["retry", "queue", "run", "total"]
    attempt: int = 0


class WakeRun(msgspec.Struct, frozen=True):
    """Tell the machine when the time of the whole run is up."""

    at: Instant


class Stop(msgspec.Struct, frozen=True):
    """End a running attempt: its process group gets SIGTERM, and SIGKILL after the grace."""

    place: str
    n: int
    attempt: int
    cause: Literal["cancelled", "timeout"]


class Withdraw(msgspec.Struct, frozen=True):
    """Units of `place` that were ready must not be launched any more."""

    place: str


class Reply(msgspec.Struct, frozen=True):
    """Tell the driver `place` how its call `node` ended."""

    place: str
    node: Node
    result: Expr | None
    failure: Failure | None


class Conclude(msgspec.Struct, frozen=True):
    """The run has ended: tell those who wait, once it is durable."""

    state: RunState
    output: Expr | None = None


Effect: TypeAlias = MakeReady | Ask | WakeAt | WakeRun | Stop | Withdraw | Reply | Conclude

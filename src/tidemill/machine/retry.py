"""Whether a failed attempt is tried again, and when. Pure: the jitter comes from the identity of the attempt."""

from __future__ import annotations

import blake3

from tidemill.graph.policy import Backoff, Policy
from tidemill.graph.work import Failure, Instant, Outcome
from tidemill.machine.run import Run, Unit

MAX_LOST = 5  # times an attempt may go down with its worker before the task itself is suspected

_NEVER = frozenset({"cancelled", "input"})


def retry_at(run: Run, policy: Policy, unit: Unit, outcome: Outcome, name: str) -> Instant | None:
    """When the unit may be tried again after `outcome`, or None when this was its last attempt."""
    failure = outcome.failure
    if failure is None or failure.cause in _NEVER or policy.at_most_once:
        return None
    if failure.cause == "check" and "check" not in policy.retry_on:
        return None  # computing it once more gives the same, unless the task says otherwise
    tries = unit.tries
    if tries > policy.retries or not matches(policy.retry_on, failure):
        return None
    wait = delay(policy.backoff, tries, f"{run.id}/{name}/{outcome.attempt}")
    if failure.retry_after is not None:
        wait = failure.retry_after
    at = outcome.ended + wait
    total = policy.timeout.total
    if total is not None and unit.first_ready is not None and at >= unit.first_ready + total:
        return None
    return at


def matches(retry_on: tuple[str, ...], failure: Failure) -> bool:
    """Whether `retry_on` names the cause or one of the exception's classes. Empty: anything."""
    if not retry_on:
        return True
    if failure.cause == "timeout" and "builtins.TimeoutError" in retry_on:
        return True
    if failure.cause == "memory" and "builtins.MemoryError" in retry_on:
        return True
    return failure.cause in retry_on or any(name in retry_on for name in (failure.type, *failure.mro))


def delay(backoff: Backoff, tries: int, identity: str) -> float:
    """Seconds to wait after failure number `tries` (from 1)."""
    if backoff.kind == "exponential":
        full = min(backoff.cap, backoff.first * 2.0 ** min(tries - 1, 60))
        share = int.from_bytes(blake3.blake3(identity.encode()).digest(4), "big") / 2**32
        return full * (1.0 - backoff.jitter * share)
    if backoff.kind == "list" and backoff.waits:
        return backoff.waits[min(tries, len(backoff.waits)) - 1]
    return 0.0


def lost_too_often(unit: Unit) -> bool:
    """Whether so many attempts went down with their worker that the task is the likely reason."""
    return unit.lost >= MAX_LOST

"""How much work may be queued in one worker: little enough that nothing waits long, enough that it never runs dry.

Pure: durations in, numbers out.
"""

from __future__ import annotations

from tidemill.graph.policy import Policy

QUEUED_SECONDS = 0.015  # of work in one worker's queue
DEEPEST = 256
_WEIGHT = 0.2  # of the newest measurement
_KNOWN = 10_000  # tasks that are remembered


class Durations:
    """What each task took lately, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def learn(self, task: str, seconds: float) -> None:
        """One more measurement. A longer one counts at once, shorter ones little by little."""
        known = self._seconds.get(task)
        if known is None and len(self._seconds) >= _KNOWN:
            self._seconds.clear()
        self._seconds[task] = seconds if known is None else known + _WEIGHT * (seconds - known)

    def depth(self, task: str) -> int:
        """How many starts of `task` one worker should hold: 1 for what is unknown or slow."""
        seconds = self._seconds.get(task)
        if seconds is None or seconds >= QUEUED_SECONDS:
            return 1
        return min(DEEPEST, int(QUEUED_SECONDS / max(seconds, 1e-9)) or 1)

    def seconds(self, task: str) -> float | None:
        """What it takes, if it ever ran."""
        return self._seconds.get(task)


def alone(policy: Policy) -> bool:
    """Whether its starts are never queued behind another: a limit in time must not run out in a queue."""
    return policy.timeout.run is not None or policy.timeout.total is not None or policy.memory is not None or policy.at_most_once

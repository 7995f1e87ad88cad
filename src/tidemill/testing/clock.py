"""Time and chance for tests: a clock that stands still until it is told to go on. Knows no real clock."""

from __future__ import annotations

from tidemill.graph.work import Instant


class VirtualClock:
    """A `tidemill.ports.Clock` in the hands of a test. Two with the same beginning tell the same times and tokens."""

    def __init__(self, start: Instant = 1_750_000_000.0) -> None:
        self._start = start
        self._passed = 0.0
        self._jumped = 0.0
        self._tokens = 0

    def now(self) -> Instant:
        """Seconds since 1970-01-01 UTC, as this clock has it."""
        return self._start + self._passed + self._jumped

    def monotonic(self) -> float:
        """Seconds that passed since the beginning. A jump does not change them."""
        return self._passed

    def token(self) -> str:
        """A new id: "t00001", "t00002", and so on."""
        self._tokens += 1
        return f"t{self._tokens:05}"

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. Raises `ValueError` for fewer than none."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._passed += seconds

    def jump(self, seconds: float) -> None:
        """Set the clock forward or back, as an administrator or a time server would."""
        self._jumped += seconds

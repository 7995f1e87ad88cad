"""Time and chance: the only module that asks the machine for either."""

from __future__ import annotations

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


class SystemClock:
    """The machine's own clock and randomness."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def token(self) -> str:
        """A new id of 16 characters that sorts by time: 45 bits of milliseconds, then 35 of chance."""
        number = (int(time.time() * 1000) << 35) | (int.from_bytes(os.urandom(5), "big") >> 5)
        return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -5, -5))

"""What a look at a source found. A value like any other, so that the digest of it is the source's version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Observation"]


@dataclass(frozen=True)
class Observation:
    """What is there now: `value` is what readers get, `token` tells one state of the source from another.

    `event_time` and `watermark` are seconds since 1970 UTC: when the newest of it happened, and until when it is complete.
    """

    value: Any = None
    token: str = ""
    event_time: float | None = None
    watermark: float | None = None

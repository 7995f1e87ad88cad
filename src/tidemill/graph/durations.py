"""Durations as people write them ("2m", "1h30m", "250ms") to seconds. Knows no clock and no calendar."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from tidemill.errors import BadSetting

__all__ = ["seconds"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+", re.ASCII)


def seconds(value: object, *, name: str = "duration") -> float:
    """`value` in seconds: "2m", "1h30m", "1.5h", "250ms", "2d", "1w", a timedelta, or a number of seconds.

    Zero is allowed, negative and endless durations are not. `name` is what the error calls it.
    Raises `BadSetting`.
    """
    if isinstance(value, timedelta):
        return _checked(value.total_seconds(), value, name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _checked(float(value), value, name)
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            return float(text)
    raise _bad(value, name)


def _checked(number: float, value: object, name: str) -> float:
    if number < 0 or not math.isfinite(number):
        raise _bad(value, name)
    return number


def _bad(value: object, name: str) -> BadSetting:
    return BadSetting(
        f"{name}={value!r} is not a duration.",
        why="A duration is text such as '250ms', '2m' or '1h30m', a timedelta, or a number of seconds, and is not negative.",
        mend=f"Write, for example, {name}='2m'. Units: ms, s, m, h, d, w.",
    )

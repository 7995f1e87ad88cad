"""`approx`: when two results count as the same. A setting that is kept with the asset; nothing is compared here."""

from __future__ import annotations

import math

import msgspec

from tidemill.errors import BadSetting

__all__ = ["Approx", "approx"]


class Approx(msgspec.Struct, frozen=True):
    """Numbers that differ by at most `relative` of the larger one, or by at most `absolute`, are the same."""

    relative: float = 0.0
    absolute: float = 0.0

    def __str__(self) -> str:
        return f"approx({self.relative:g}{f', absolute={self.absolute:g}' if self.absolute else ''})"


def approx(relative: float = 1e-9, *, absolute: float = 0.0) -> Approx:
    """For `same=`: a new result whose numbers differ by no more than this keeps the old version. Raises `BadSetting`."""
    given: dict[str, object] = {"relative": relative, "absolute": absolute}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (0.0 <= value < math.inf):
            raise BadSetting(f"approx({name}={value!r}) is not a tolerance.", why="A tolerance is a number of at least 0.")
    return Approx(float(relative), float(absolute))

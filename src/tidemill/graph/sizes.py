"""Amounts of memory and disk as people write them ("300MB", "2GiB") to bytes. Knows nothing else."""

from __future__ import annotations

import re

from tidemill.errors import BadSetting

__all__ = ["byte_count"]

_UNITS = {
    "b": 1,
    **{f"{letter}{end}": 1000**power for power, letter in enumerate("kmgt", 1) for end in ("", "b")},
    **{f"{letter}i{end}": 1024**power for power, letter in enumerate("kmgt", 1) for end in ("", "b")},
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)


def byte_count(value: object, *, name: str = "size") -> int:
    """`value` in bytes: "300MB" (decimal), "2GiB" (binary), "512k", or a whole number of bytes. Raises `BadSetting`."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip().lower())):
        number, unit = found.groups()
        factor = _UNITS.get(unit or "b")
        if factor is not None and (size := int(float(number) * factor)) > 0:
            return size
    raise BadSetting(
        f"{name}={value!r} is not an amount of bytes.",
        why="An amount is text such as '300MB' (1,000,000 each) or '2GiB' (1,073,741,824 each), or a whole number above zero.",
        mend=f"Write, for example, {name}='300MB'. Units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.",
    )

"""Where a page of a list begins: the keys of the last row of the page before, as one opaque word."""

from __future__ import annotations

from typing import Any

import msgspec

from tidemill.errors import BadSetting
from tidemill.graph.assets import RefRow
from tidemill.ports import RunRow, TaskRow

__all__ = ["after_run", "after_task", "after_version", "page_key"]


def page_key(last: RunRow | TaskRow | RefRow) -> str:
    """What `Page.after` is for the page that follows this row. Of a `RefRow`: one that `versions` gave."""
    place: object = (last.seq,) if isinstance(last, RefRow) else ()
    if isinstance(last, RunRow | TaskRow):
        place = (last.created_at, last.id) if isinstance(last, RunRow) else (last.place, last.unit)
    return msgspec.json.encode(place).decode()


def after_run(key: str) -> tuple[float, str]:
    """The creation time and id in such a key. Raises `BadSetting`."""
    return _read(key, tuple[float, str])  # type: ignore[no-any-return]


def after_task(key: str) -> tuple[str, int]:
    """The place and unit in such a key. Raises `BadSetting`."""
    return _read(key, tuple[str, int])  # type: ignore[no-any-return]


def after_version(key: str) -> int:
    """The place in the history in such a key. Raises `BadSetting`."""
    return _read(key, tuple[int])[0]  # type: ignore[no-any-return]


def _read(key: str, type_: Any) -> Any:
    try:
        return msgspec.json.decode(key, type=type_)
    except msgspec.DecodeError as error:
        raise BadSetting(
            f"after={key!r} does not name a place in this list.",
            why="It is the key of the last row of the page before, as the store gave it.",
            mend="Leave it out to begin with the first page.",
        ) from error

"""Pickle, the last resort: any Python object that cloudpickle can write. The handle's note says that and why."""

from __future__ import annotations

import pickle
import reprlib
from typing import Any

from tidemill.artifacts.codecs.form import Source, Written, type_name
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import CannotRead, CannotStore, is_full

_LOOKED_AT = 10_000  # parts that are tried when the culprit is looked for
_STEPS = 30  # at most on the way to it
_MENDS = {
    "generator": "Return list(…) of it.",
    "coroutine": "Await it, and return its result.",
    "socket": "Return the data, and open connections in a Resource.",
    "Connection": "Return the data, and open connections in a Resource.",
    "lock": "Return the data without the lock.",
    "TextIOWrapper": "Return the Path of the file, or its text.",
    "BufferedReader": "Return the Path of the file, or its bytes.",
}


class Pickle:
    """The codec "pickle"."""

    name = "pickle"
    version = 1

    def write(self, value: object, location: Location) -> Written:
        """See `Codec`."""
        import cloudpickle  # few processes ever need it

        draft = location.draft()
        try:
            with draft.open("wb") as file:
                cloudpickle.Pickler(file, protocol=5).dump(value)
        except BaseException as error:
            draft.unlink(missing_ok=True)
            if not isinstance(error, Exception) or is_full(error):
                raise
            raise cannot_pickle(value, error) from error
        return Written(draft=draft, preview=_preview(value))

    def read(self, source: Source) -> object:
        """See `Codec`."""
        try:
            if source.path is None:
                return pickle.loads(source.bytes())
            with source.path.open("rb") as file:
                return pickle.load(file)
        except Exception as error:
            raise CannotRead(
                f"A pickled {source.handle.type} cannot be read here.",
                why=f"{type(error).__name__}: {error}",
                mend="Use the versions of Python and of the libraries that wrote it, or run the task that made it again.",
            ) from error


def cannot_pickle(value: object, error: BaseException) -> CannotStore:
    """The problem that names the part of `value` that cannot be pickled."""
    if isinstance(error, RecursionError) or isinstance(error.__context__, RecursionError):
        return CannotStore(
            f"A value of type {type_name(type(value))} is nested too deep to be stored.",
            why="Writing it would need more stack than Python allows.",
            mend="Return it flat: a list of rows, or a table.",
        )
    path, part = _culprit(value)
    kind = type(part).__name__
    where = f" at result{path}" if path else ""
    return CannotStore(
        f"A {type_name(type(part))}{where} cannot be stored.",
        why=f"It cannot be pickled: {error}",
        mend=_MENDS.get(kind, "Return plain data, a table, a Path or an object of a class that can be pickled."),
    )


def _culprit(value: object) -> tuple[str, object]:
    """The innermost part of `value` that cannot be pickled, and the way to it ("['db'].socket")."""
    path, seen, left = "", {id(value)}, _LOOKED_AT
    for _ in range(_STEPS):
        for step, part in _parts(value):
            left -= 1
            if left > 0 and id(part) not in seen and not _pickles(part):
                seen.add(id(part))
                path, value = path + step, part
                break
        else:
            break
    return path, value


def _parts(value: Any) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [(f"[{reprlib.repr(key)}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{at}]", part) for at, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [("{…}", part) for part in value]
    parts = [(f".{name}", part) for name, part in getattr(value, "__dict__", {}).items()] if not isinstance(value, type) else []
    names = getattr(getattr(value, "__code__", None), "co_freevars", ())
    for name, cell in zip(names, getattr(value, "__closure__", None) or (), strict=False):
        try:
            parts.append((f" → {name}", cell.cell_contents))
        except ValueError:
            continue  # a variable that has no value yet
    return parts


def _pickles(part: object) -> bool:
    import cloudpickle  # it was loaded by the attempt that failed

    try:
        cloudpickle.dumps(part)
    except Exception:  # noqa: BLE001 - whatever its __reduce__ raises means no
        return False
    return True


def _preview(value: object) -> str:
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001 - the user's __repr__
        return f"<{type_name(type(value))}>"

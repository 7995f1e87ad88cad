"""What passes between a codec and the store: what was written, what is to be read, how a table is shown as text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import CannotRead
from tidemill.graph.values import Handle

Schema = tuple[tuple[str, str], ...]
PREVIEW_ROWS = 10
_CELL = 40  # characters of a cell in a preview
_COLUMNS = 20  # columns of a preview


class Written(msgspec.Struct):
    """An encoded value: its bytes (`data`) or the local file that holds them (`draft`), and what people should know.

    `tree`: the bytes name other blobs. `preview` is raw: the store masks and cuts it.
    """

    data: bytes | None = None
    draft: Path | None = None
    tree: bool = False
    rows: int | None = None
    schema: Schema | None = None
    preview: str | None = None
    note: str | None = None


class Source(msgspec.Struct):
    """Verified bytes to be read: in memory (`data`) or in a local file (`path`). One of them is given."""

    handle: Handle
    location: Location
    data: bytes | None = None
    path: Path | None = None

    def bytes(self) -> bytes:
        """All of them, in memory."""
        if self.data is not None:
            return self.data
        assert self.path is not None
        return self.path.read_bytes()


class Codec(Protocol):
    """One way to write values. `name` and `version` go on every handle; a reader refuses a version it does not know."""

    name: str
    version: int

    def write(self, value: object, location: Location) -> Written:
        """Encode `value`. Raises `Unfit` if another codec must take it, `CannotStore` if none can."""

    def read(self, source: Source) -> object:
        """The value again. Raises `CannotRead`, `LibraryMissing`."""


class Unfit(Exception):
    """This codec cannot write the value exactly; `because` says why, for the note of the one that takes it."""

    def __init__(self, because: str = "") -> None:
        super().__init__(because)
        self.because = because


def type_name(kind: type) -> str:
    """How handles name a type: "builtins.int"."""
    return f"{kind.__module__}.{kind.__qualname__}"


def find_type(module: str, qualname: str) -> object:
    """What `module:qualname` names, importing the module if need be. Raises `CannotRead`."""
    try:
        if module not in sys.modules:
            __import__(module)
        found: object = sys.modules[module]
        for name in qualname.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise CannotRead(
            f"The type {module}:{qualname} of a stored value is not there any more.",
            why=f"{type(error).__name__}: {error}. The value was stored by code that had it.",
            mend="Bring the type back under this name (an import in its old module is enough), or run the task that made the value again.",
        ) from error
    return found


def importable(kind: type) -> bool:
    """Whether another process finds exactly this type by its name."""
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        return False
    found: object = module
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def table_text(names: Sequence[str], rows: Iterable[Sequence[object]], total: int | None) -> str:
    """The first rows of a table as aligned text."""
    head = [_cell(name) for name in names[:_COLUMNS]]
    body = [[_cell(value) for value in list(row)[:_COLUMNS]] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in [head, *body]]
    if len(names) > _COLUMNS:
        lines[0] += f"  … {len(names) - _COLUMNS} more columns"
    if total is not None and total > len(body):
        lines.append(f"… {total:,} rows in all")
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = str(value).replace("\n", "⏎")
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"

"""Digests of tables: equal for equal rows, whatever their order, chunks and the library that holds them.

Knows tables by Arrow's stream protocol and imports no library that the value itself has not brought.
"""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterable
from typing import Any

import msgspec
from blake3 import blake3

from tidemill.errors import BadSetting

__all__ = ["TableDigest", "is_table", "joined", "table_digest"]

_BLOCK = 16_384  # rows at a time: the numbers in hand stay in the processor's cache
_MASK = (1 << 64) - 1
BYTES = "bytes-1"


class TableDigest(msgspec.Struct, frozen=True):
    """What a table holds. Equal ones hold the same columns of the same types, and the same rows in whatever order.

    `table` and each of `columns` are 32 hex digits. With the algorithm "bytes-1" (numpy is missing) rows in another
    order are another table, and `columns` is empty.
    """

    algorithm: str
    schema: str  # "id: int64, at: timestamp[us, tz=UTC]"
    rows: int
    table: str
    columns: dict[str, str]


def is_table(value: Any) -> bool:
    """Whether `value` is a table that can be read more than once: Arrow, Polars, pandas, DuckDB and their like."""
    if not hasattr(type(value), "__arrow_c_stream__") or type(value).__name__ == "RecordBatchReader":
        return False
    return hasattr(value, "columns")  # a Series or an array has none


def table_digest(value: Any) -> TableDigest | None:
    """The digest of a table; None if it is none, or holds what Arrow has no type for.

    Costs about a second per GB of numbers. NaN equals NaN and -0.0 equals 0.0; null equals null, not NaN. pandas' missing
    values are nulls. Categories count by value; the types of columns, their names and order count.
    """
    if not is_table(value):
        return None
    if not (importlib.util.find_spec("pyarrow") and importlib.util.find_spec("numpy")):
        return _whole(value)
    import pyarrow as pa  # lazily: an optional extra

    try:
        batches = pa.table(value)
    except (pa.ArrowException, TypeError, ValueError):  # objects that Arrow does not know
        return None
    return _digested(batches.schema, batches.to_batches(max_chunksize=_BLOCK))


def joined(digests: Iterable[TableDigest]) -> TableDigest:
    """The digest of all rows of several tables together, without reading one. Raises `BadSetting` if they do not fit."""
    parts = list(digests)
    if not parts or len({(one.algorithm, one.schema) for one in parts}) > 1 or parts[0].algorithm == BYTES:
        raise BadSetting(
            "These tables' digests cannot be joined.",
            why="They must be at least one, of the same columns, and made row by row.",
            mend="Digest the joined table itself.",
        )
    columns = {name: _added(one.columns[name] for one in parts) for name in parts[0].columns}
    first = parts[0]
    return TableDigest(first.algorithm, first.schema, sum(one.rows for one in parts), _added(one.table for one in parts), columns)


def _added(digests: Iterable[str]) -> str:
    low = high = 0
    for one in digests:
        low, high = low + int(one[:16], 16), high + int(one[16:], 16)
    return f"{low & _MASK:016x}{high & _MASK:016x}"


class _Sum:
    """A multiset of 64-bit hashes as 128 bits: their sum and the sum of their squares. Order plays no part."""

    __slots__ = ("low", "squares")

    def __init__(self) -> None:
        self.low = self.squares = 0

    def add(self, hashes: Any) -> None:
        self.low += int(hashes.sum())
        self.squares += int(hashes.dot(hashes))

    def __str__(self) -> str:
        return f"{self.low & _MASK:016x}{self.squares & _MASK:016x}"


def _digested(schema: Any, batches: Iterable[Any]) -> TableDigest:
    from tidemill.fingerprint.tables import rowhash  # lazily: it needs numpy and pyarrow

    types = [rowhash.type_name(field.type) for field in schema]
    keys = _distinct([field.name for field in schema])
    seeds = [rowhash.seed_of("column", *pair) for pair in zip(keys, types, strict=True)]
    table, columns, rows = _Sum(), [_Sum() for _ in seeds], 0
    for batch in batches:
        rows += batch.num_rows
        together: Any = None
        for position, seed in enumerate(seeds):
            found = rowhash.hashes(batch.column(position), seed)
            columns[position].add(found)
            if together is None:
                together = found
            else:
                together += found
        if together is not None:
            table.add(rowhash.mix(together))  # one hash per row: it binds the columns of a row to each other
    described = ", ".join(f"{name}: {kind}" for name, kind in zip(keys, types, strict=True))
    return TableDigest(rowhash.ALGORITHM, described, rows, str(table), dict(zip(keys, map(str, columns), strict=True)))


def _distinct(names: list[str]) -> list[str]:
    """Arrow allows several columns of one name: the second is called "name#2"."""
    found: dict[str, None] = {}
    for name in names:
        count, key = 1, name
        while key in found:
            count, key = count + 1, f"{name}#{count + 1}"
        found[key] = None
    return list(found)


def _whole(value: Any) -> TableDigest | None:
    """Without numpy: the bytes of the table in Arrow's file format, in one piece."""
    data = io.BytesIO()
    polars, arrow = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if polars is not None and isinstance(value, polars.DataFrame):
        value.rechunk().write_ipc(data)
        described, rows = ", ".join(f"{name}: {kind}" for name, kind in value.schema.items()), value.height
    elif arrow is not None and isinstance(value, arrow.Table):
        whole = value.combine_chunks().replace_schema_metadata()
        with arrow.RecordBatchStreamWriter(data, whole.schema) as writer:
            writer.write_table(whole)
        described, rows = ", ".join(f"{one.name}: {one.type}" for one in whole.schema), whole.num_rows
    else:
        return None
    return TableDigest(BYTES, described, rows, blake3(data.getbuffer()).hexdigest(length=16), {})

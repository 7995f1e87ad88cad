"""Arrow tables and batches as an uncompressed Arrow IPC file: streamed out batch by batch, mapped back in without a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidemill.artifacts.codecs.form import PREVIEW_ROWS, Schema, Source, Written, table_text
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import LibraryMissing

_COLUMN = "value"  # of an array, which is written as a table of one column


class Arrow:
    """The codec "arrow": Table, RecordBatch, ChunkedArray, Array."""

    name = "arrow"
    version = 1

    def write(self, value: Any, location: Location) -> Written:
        """See `Codec`."""
        pa = library()
        if isinstance(value, pa.RecordBatch):
            value = pa.Table.from_batches([value])
        elif isinstance(value, (pa.ChunkedArray, pa.Array)):
            value = pa.table({_COLUMN: value})
        return Written(
            draft=write_table(value, location),
            rows=value.num_rows,
            schema=schema_of(value.schema),
            preview=table_text(value.column_names, _rows(value), value.num_rows),
        )

    def read(self, source: Source) -> object:
        """See `Codec`."""
        pa = library()
        table = read_table(source)
        kind = source.handle.type.rpartition(".")[2]
        if kind == "RecordBatch":
            return table.combine_chunks().to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=table.schema)
        if kind == "ChunkedArray":
            return table.column(0)
        return table if kind == "Table" or table.column_names != [_COLUMN] else table.column(0).combine_chunks()


def library() -> Any:
    """PyArrow. Raises `LibraryMissing`."""
    try:
        import pyarrow as pa  # optional: only for values that came from it
        import pyarrow.ipc
    except ImportError:
        raise LibraryMissing("PyArrow", "'tidemill[arrow]'", "an Arrow table") from None
    return pa


def write_table(table: Any, location: Location) -> Path:
    """Write `table` to a new draft, batch by batch. If that fails, the draft is removed."""
    pa = library()
    if any(pa.types.is_dictionary(kind) for kind in table.schema.types):
        table = table.unify_dictionaries()  # a file holds one dictionary per column
    draft = location.draft()
    try:
        with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def read_table(source: Source) -> Any:
    """The Arrow table in `source`; of a file the columns stay where they are and are paged in when they are read."""
    pa = library()
    file = pa.BufferReader(source.data) if source.data is not None else pa.memory_map(str(source.path))
    return pa.ipc.open_file(file).read_all()


def schema_of(schema: Any) -> Schema:
    """Names and types of an Arrow schema."""
    return tuple((field.name, str(field.type)) for field in schema)


def _rows(table: Any) -> list[tuple[object, ...]]:
    columns = [column.to_pylist() for column in table.slice(0, PREVIEW_ROWS).columns]
    return list(zip(*columns, strict=True))

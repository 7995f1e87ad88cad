"""Polars frames as an uncompressed Arrow IPC file. A lazy one is streamed to the file and read back lazily."""

from __future__ import annotations

import importlib.util
from typing import Any

from tidemill.artifacts.codecs.form import PREVIEW_ROWS, Source, Unfit, Written, table_text
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import LibraryMissing, is_full

# Polars itself copies what it reads and needs twice the table while it does. Mapping needs PyArrow, whose import
# costs more than reading this many bytes.
_WORTH_MAPPING = 4 << 20


class Polars:
    """The codec "polars": DataFrame, LazyFrame, Series."""

    name = "polars"
    version = 1

    def write(self, value: Any, location: Location) -> Written:
        """See `Codec`."""
        pl = library()
        draft = location.draft()
        try:
            if isinstance(value, pl.LazyFrame):
                value.sink_ipc(draft, compression="uncompressed")
                written = pl.scan_ipc(draft, glob=False)
                rows = written.select(pl.len()).collect().item()
                head = written.head(PREVIEW_ROWS).collect()
            else:
                frame = value.to_frame() if isinstance(value, pl.Series) else value
                frame.write_ipc(draft, compression="uncompressed")
                rows, head = frame.height, frame.head(PREVIEW_ROWS)
        except BaseException as error:
            draft.unlink(missing_ok=True)
            if isinstance(error, pl.exceptions.PolarsError) and not isinstance(value, pl.LazyFrame) and not is_full(error):
                raise Unfit(f"Polars cannot write it: {error}") from error
            raise
        return Written(
            draft=draft,
            rows=rows,
            schema=tuple((name, str(dtype)) for name, dtype in head.schema.items()),
            preview=table_text(head.columns, head.rows(), rows),
        )

    def read(self, source: Source) -> object:
        """See `Codec`."""
        kind = source.handle.type.rpartition(".")[2]
        if kind == "LazyFrame":
            return scan(source)
        frame = read_frame(source)
        return frame.to_series() if kind == "Series" else frame


def library() -> Any:
    """Polars. Raises `LibraryMissing`."""
    try:
        import polars as pl  # optional: only for values that came from it
    except ImportError:
        raise LibraryMissing("Polars", "'tidemill[polars]'", "a Polars frame") from None
    return pl


def scan(source: Source) -> Any:
    """The table in `source` as a LazyFrame."""
    return library().scan_ipc(source.data if source.data is not None else source.path, glob=False)


def read_frame(source: Source) -> Any:
    """The table in `source` as a DataFrame: mapped if it is large and PyArrow is installed."""
    pl = library()
    if source.path is None or source.handle.size < _WORTH_MAPPING or importlib.util.find_spec("pyarrow") is None:
        return pl.read_ipc(source.data if source.data is not None else source.path)
    from tidemill.artifacts.codecs.arrow import read_table  # PyArrow is there, but not always

    frame = pl.from_arrow(read_table(source), rechunk=False)
    # A type that Arrow's reader does not hand over as it was (an extension of Polars) is left to Polars.
    return frame if frame.schema == scan(source).collect_schema() else pl.read_ipc(source.path)

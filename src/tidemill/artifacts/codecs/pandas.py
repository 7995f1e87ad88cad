"""Pandas frames as an uncompressed Arrow IPC file, exactly: dtypes, index, labels, kinds of missing values.

What Arrow would bring back changed (a column of mixed objects, say) is `Unfit`, so that it is pickled instead.
"""

from __future__ import annotations

import json
import mmap
from typing import Any

from tidemill.artifacts.codecs.arrow import library as arrow_library
from tidemill.artifacts.codecs.arrow import read_table, schema_of, write_table
from tidemill.artifacts.codecs.form import PREVIEW_ROWS, Source, Unfit, Written, table_text
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import LibraryMissing

_META = b"tidemill"  # our part of the schema's metadata: what Arrow's own part for pandas leaves out
_SERIES = "__series__"


class Pandas:
    """The codec "pandas": DataFrame, Series."""

    name = "pandas"
    version = 1

    def write(self, value: Any, location: Location) -> Written:
        """See `Codec`."""
        series = value.ndim == 1
        frame = value.to_frame(_SERIES if value.name is None else value.name) if series else value
        table = to_table(frame)
        rows, head = len(frame), frame.head(PREVIEW_ROWS)
        return Written(
            draft=write_table(table, location),
            rows=rows,
            schema=schema_of(table.schema),
            preview=table_text([str(name) for name in frame.columns], head.itertuples(index=False, name=None), rows),
        )

    def read(self, source: Source) -> object:
        """See `Codec`."""
        frame = read_frame(source)
        if source.handle.type.rpartition(".")[2] != "Series":
            return frame
        series = frame.iloc[:, 0]
        return series.rename(None) if series.name == _SERIES else series


def library() -> Any:
    """Pandas. Raises `LibraryMissing`."""
    try:
        import pandas as pd  # optional: only for values that came from it
    except ImportError:
        raise LibraryMissing("pandas", "'tidemill[pandas]'", "a pandas frame") from None
    return pd


def to_table(frame: Any) -> Any:
    """`frame` as an Arrow table from which `_restored` makes the same again. Raises `Unfit`."""
    pd = library()
    try:
        pa = arrow_library()
    except LibraryMissing as error:
        raise Unfit("PyArrow is not installed (pip install 'tidemill[pandas]')") from error
    if type(frame) is not pd.DataFrame:
        raise Unfit(f"it is a {type(frame).__qualname__}, not a plain DataFrame")
    if not frame.columns.is_unique:
        raise Unfit("two of its columns have the same name")
    try:
        table = pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise Unfit(f"Arrow cannot hold it: {error}") from error
    objects = {}
    for at, dtype in enumerate(frame.dtypes):
        if dtype.kind == "O" and not hasattr(dtype, "na_value"):
            objects[str(at)] = _missing(frame.iloc[:, at], table.column(at))
        elif getattr(dtype, "kind", "") == "f" and not hasattr(dtype, "na_value") and table.column(at).null_count:
            # Not-a-number is a number here: as such the column can be mapped back without a copy.
            table = table.set_column(at, table.schema.field(at), pa.array(frame.iloc[:, at].to_numpy(), from_pandas=False))
    labels = frame.columns
    own = {
        "objects": objects,
        "freq": getattr(frame.index, "freqstr", None),
        "labels": [labels.start, labels.stop, labels.step] if isinstance(labels, pd.RangeIndex) else None,
    }
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _META: json.dumps(own).encode()})
    _check(frame, table)
    return table


def read_frame(source: Source) -> Any:
    """The table in `source` as a DataFrame of its own.

    Number columns of a file are private mappings: no copy until a page is written to, and the file never changes.
    """
    library()
    pa = arrow_library()
    if source.path is None:
        return _restored(read_table(source), None)
    with source.path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return _restored(pa.ipc.open_file(pa.py_buffer(pages)).read_all(), pages)


def _restored(table: Any, pages: mmap.mmap | None) -> Any:
    pd = library()
    own = json.loads((table.schema.metadata or {}).get(_META, b"{}"))
    empty = table.schema.empty_table().to_pandas() if pages is not None else None
    mapped = _mapped(table, pages, list(empty.dtypes)) if pages is not None and empty is not None else {}
    if empty is None or not mapped:
        frame = table.to_pandas()
    else:
        rest = table.select([at for at in range(table.num_columns) if at not in mapped]).to_pandas()
        width = len(empty.columns)
        others = iter(range(len(rest.columns)))
        columns = {at: mapped[at] if at in mapped else rest.iloc[:, next(others)].array for at in range(width)}
        frame = pd.DataFrame(columns, index=rest.index, copy=False)
        frame.columns = empty.columns
        frame.attrs = rest.attrs
    for at, missing in own.get("objects", {}).items():
        column = frame.iloc[:, int(at)].astype(object)
        frame.isetitem(int(at), column.where(column.notna(), None if missing == "none" else float("nan")))
    if own.get("labels"):
        frame.columns = pd.RangeIndex(*own["labels"], name=frame.columns.name)
    if own.get("freq"):
        frame.index.freq = own["freq"]
    return frame


def _mapped(table: Any, pages: mmap.mmap, dtypes: list[Any]) -> dict[int, Any]:
    """Columns of NumPy numbers as writable arrays over the mapping, by place. The index comes after the columns: it is not among them."""
    import numpy as np  # pandas stands on it

    pa = arrow_library()
    start = pa.py_buffer(pages).address
    found = {}
    for at, (column, dtype) in enumerate(zip(table.columns, dtypes, strict=False)):
        whole = column.num_chunks == 1 and not column.null_count and len(column) > 0
        number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if whole and number and isinstance(dtype, np.dtype) and dtype == column.type.to_pandas_dtype():
            chunk = column.chunk(0)
            offset = chunk.buffers()[1].address - start + chunk.offset * dtype.itemsize
            found[at] = np.frombuffer(pages, dtype=dtype, count=len(chunk), offset=offset)
    return found


def _missing(column: Any, stored: Any) -> str:
    """The one kind of missing value in a column of objects that comes back equal: "none" or "nan". Raises `Unfit`."""
    values = column.tolist()
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return "none"
    missing = "nan" if float in kinds and type(None) not in kinds else "none"
    back = stored.to_pandas().astype(object)
    back = back.where(back.notna(), None if missing == "none" else float("nan")).tolist()
    for one, other in zip(values, back, strict=True):
        same = one is other or (type(one) is type(other) and bool(one == other or (one != one and other != other)))  # noqa: PLR0124 - NaN
        if not same or (type(one) is not str and str(one) != str(other)):
            raise Unfit(f"column {column.name!r} holds objects ({type(one).__name__}) that Arrow would change")
    return missing


def _check(frame: Any, table: Any) -> None:
    """Compare what can be known without the rows. Raises `Unfit`."""
    pd = library()
    empty = _restored(table.slice(0, 0), None)
    places = [("the labels of its columns", frame.columns, empty.columns)]
    if not isinstance(frame.index, pd.RangeIndex):  # Arrow keeps its three numbers, whatever the rows
        places.append(("its index", frame.index[:0], empty.index[:0]))
    for place, one, other in places:
        if type(one) is not type(other) or list(one.names) != list(other.names) or not _same_types(one, other) or not one.equals(other):
            raise Unfit(f"{place} would come back changed")
    for name, one, other in zip(frame.columns, frame.dtypes, empty.dtypes, strict=True):
        if one != other or type(one) is not type(other):
            raise Unfit(f"column {name!r} of type {one} would come back as {other}")
    if frame.attrs != empty.attrs:
        raise Unfit("its attrs would come back changed")


def _same_types(one: Any, other: Any) -> bool:
    if hasattr(one, "levels"):
        return [level.dtype for level in one.levels] == [level.dtype for level in other.levels] or not len(one)
    return bool(one.dtype == other.dtype)

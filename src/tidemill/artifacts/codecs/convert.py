"""A stored table or file, read as the kind of table that the reader asked for. Bytes are not written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidemill.artifacts.codecs import arrow, files, pandas, polars
from tidemill.artifacts.codecs.choice import FRAMES
from tidemill.artifacts.codecs.form import Source
from tidemill.artifacts.problems import CannotRead

_KINDS = {
    ("pandas", "DataFrame"): "pandas",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "lazy",
    ("pyarrow", "Table"): "arrow",
}
_READERS = {
    ".csv": {"pandas": "read_csv", "polars": "read_csv", "lazy": "scan_csv"},
    ".parquet": {"pandas": "read_parquet", "polars": "read_parquet", "lazy": "scan_parquet"},
    ".arrow": {"pandas": "read_feather", "polars": "read_ipc", "lazy": "scan_ipc"},
    ".feather": {"pandas": "read_feather", "polars": "read_ipc", "lazy": "scan_ipc"},
}


def kind_of(want: type) -> str | None:
    """The word for a type that `read_as` can make, or None."""
    if want is Path:
        return "path"
    return _KINDS.get((want.__module__.partition(".")[0], want.__name__))


def read_as(kind: str, source: Source, value_of: Any) -> object:
    """The value in `source` as `kind`; `value_of(source)` reads it as what it was. Raises `CannotRead`."""
    codec = source.handle.codec
    if kind == "path":
        return _file_of(source) if codec in FRAMES else value_of(source)
    if codec in FRAMES:
        return _frame(kind, source)
    value = value_of(source)
    return _read_file(kind, value) if codec == "files" and isinstance(value, Path) else value


def _frame(kind: str, source: Source) -> object:
    if kind == "lazy":
        return polars.scan(source)
    if kind == "polars":
        return polars.read_frame(source)
    if kind == "pandas":
        return pandas.read_frame(source)
    return arrow.read_table(source)


def _file_of(source: Source) -> Path:
    """A copy of the table as a file that others can open: data.arrow."""
    if source.path is None:
        source.location.put_bytes(source.handle.digest, source.bytes())
    entry = {"at": "data.arrow", "blob": source.handle.digest, "size": source.handle.size}
    return files.view({"$": "file", "name": "data.arrow", "entries": [entry]}, source.location)


def _read_file(kind: str, path: Path) -> object:
    """A stored file, read as a table by what its name ends in."""
    word = "pandas" if kind == "pandas" else "lazy" if kind == "lazy" else "polars"
    reader = _READERS.get(path.suffix.lower(), {}).get(word)
    if reader is None:
        raise CannotRead(
            f"The file {path.name} cannot be read as a table.",
            why=f"Only {', '.join(_READERS)} files are read so; this one ends in {path.suffix!r}.",
            mend="Take the parameter as a Path, and read the file in the task.",
        )
    if kind == "arrow":
        return _arrow_file(path)
    library = pandas.library() if kind == "pandas" else polars.library()
    return getattr(library, reader)(path)


def _arrow_file(path: Path) -> object:
    arrow.library()
    if path.suffix.lower() == ".csv":
        from pyarrow import csv  # a part of PyArrow that is loaded by itself

        return csv.read_csv(path)
    if path.suffix.lower() == ".parquet":
        from pyarrow import parquet  # as above

        return parquet.read_table(path)
    from pyarrow import feather  # as above

    return feather.read_table(path, memory_map=True)

"""Which codec takes a value, by its type. Libraries are told by the names of their modules and never imported here."""

from __future__ import annotations

from pathlib import PurePath

from tidemill.artifacts.codecs.arrow import Arrow
from tidemill.artifacts.codecs.files import Files
from tidemill.artifacts.codecs.form import Codec, Unfit, Written
from tidemill.artifacts.codecs.json import Json
from tidemill.artifacts.codecs.numpy import Numpy
from tidemill.artifacts.codecs.pandas import Pandas
from tidemill.artifacts.codecs.pickle import Pickle
from tidemill.artifacts.codecs.polars import Polars
from tidemill.artifacts.codecs.tagged import NeedsFiles
from tidemill.artifacts.codecs.torch import Torch, is_state
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import CannotRead
from tidemill.graph.values import Handle

JSON, FILES, NUMPY, PICKLE, TORCH = Json(), Files(), Numpy(), Pickle(), Torch()
PANDAS, POLARS, ARROW = Pandas(), Polars(), Arrow()
CODECS: dict[str, Codec] = {codec.name: codec for codec in (JSON, PANDAS, POLARS, ARROW, NUMPY, FILES, TORCH, PICKLE)}
FRAMES = frozenset({"pandas", "polars", "arrow"})  # all three write Arrow IPC, so each can be read by the others' libraries

_LIBRARIES: dict[str, tuple[Codec, frozenset[str]]] = {
    "pandas": (PANDAS, frozenset({"DataFrame", "Series"})),
    "polars": (POLARS, frozenset({"DataFrame", "LazyFrame", "Series"})),
    "pyarrow": (ARROW, frozenset({"Table", "RecordBatch", "ChunkedArray", "Array"})),
    "numpy": (NUMPY, frozenset({"ndarray", "generic"})),
    "torch": (TORCH, frozenset({"Tensor"})),
}


def codec_for(kind: type) -> Codec:
    """The codec that is asked first for a value of type `kind`."""
    if issubclass(kind, PurePath):
        return FILES
    for base in kind.__mro__:
        library = _LIBRARIES.get(base.__module__.partition(".")[0])
        if library is not None and base.__name__ in library[1]:
            return library[0]
    return JSON


def write(value: object, codec: Codec, location: Location) -> tuple[Codec, Written]:
    """Encode `value` with `codec`, or with the next that can. Raises `CannotStore`."""
    try:
        return codec, codec.write(value, location)
    except NeedsFiles:
        pass
    except Unfit as error:
        return _write_otherwise(value, error.because, location)
    try:
        return FILES, FILES.write(value, location)
    except Unfit as error:
        return _write_otherwise(value, error.because, location)


def _write_otherwise(value: object, because: str, location: Location) -> tuple[Codec, Written]:
    if is_state(value):
        return TORCH, TORCH.write(value, location)
    written = PICKLE.write(value, location)
    written.note = f"pickled{f', because {because}' if because else ''}: it can be read only where the same code and libraries are"
    return PICKLE, written


def codec_of(handle: Handle) -> Codec:
    """The codec that reads `handle`. Raises `CannotRead` if this version has none."""
    codec = CODECS.get(handle.codec)
    if codec is None or handle.version > codec.version:
        raise CannotRead(
            f"This value was stored as {handle.codec!r}, version {handle.version}.",
            why="A newer Tidemill wrote it; this one does not know the form.",
            mend="Update Tidemill here.",
        )
    return codec

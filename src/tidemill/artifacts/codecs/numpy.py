"""NumPy arrays and numbers as .npy, mapped back copy-on-write. Arrays of objects are left to pickle."""

from __future__ import annotations

import io
from typing import IO, Any

from tidemill.artifacts.codecs.form import Source, Unfit, Written
from tidemill.artifacts.location import Location
from tidemill.artifacts.problems import LibraryMissing


class Numpy:
    """The codec "numpy": ndarray, and single numbers of NumPy's types."""

    name = "numpy"
    version = 1

    def write(self, value: Any, location: Location) -> Written:
        """See `Codec`."""
        np = _library()
        if type(value) is not np.ndarray and not isinstance(value, np.generic):
            raise Unfit(f"it is a {type(value).__qualname__}, not a plain array")
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise Unfit("it is an array of Python objects")
        if array.dtype.metadata:
            raise Unfit("its dtype carries metadata")
        draft = location.draft()
        try:
            with draft.open("wb") as file:
                np.save(_Stream(file), array, allow_pickle=False)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return Written(
            draft=draft,
            rows=array.shape[0] if array.ndim else None,
            schema=(("shape", "×".join(map(str, array.shape)) or "number"), ("dtype", str(array.dtype))),
            preview=np.array2string(array, threshold=100, edgeitems=5),
        )

    def read(self, source: Source) -> object:
        """See `Codec`."""
        np = _library()
        if source.path is None:
            array = np.load(io.BytesIO(source.bytes()), allow_pickle=False)
        else:
            # mmap_mode="c" needs at least one element; what it returns is a subclass that shows its file.
            try:
                array = np.load(source.path, mmap_mode="c", allow_pickle=False).view(np.ndarray)
            except ValueError:
                array = np.load(source.path, allow_pickle=False)
        return array if source.handle.type == "numpy.ndarray" else array[()]


class _Stream:
    """A file that NumPy writes to piece by piece: for a real one it takes a way of its own, which hides why it failed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def _library() -> Any:
    try:
        import numpy as np  # optional: only for values that came from it
    except ImportError:
        raise LibraryMissing("NumPy", "numpy", "a NumPy array") from None
    return np

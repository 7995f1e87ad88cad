"""64-bit hashes of the values of an Arrow array, one per row: the same for equal values, whatever the library or layout.

The algorithm is ours and fixed: its name, `ALGORITHM`, changes whenever a result would. Needs numpy and pyarrow, so it is
imported only where a table is digested. Knows nothing of tables' digests.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

__all__ = ["ALGORITHM", "hashes", "mix", "seed_of", "type_name"]

ALGORITHM = "rows-1"

Words: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

# The finalizer of MurmurHash3 (Austin Appleby, public domain).
_FIRST, _SECOND, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)
_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio: positions and lengths are spread by it
_NAN = np.uint64(0x7FF8000000000000)
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
_LONG = 512  # bytes; longer values are hashed one by one


def seed_of(*names: str) -> int:
    """A 64-bit seed for a column of that name and type: equal values of two columns get unrelated hashes."""
    return int.from_bytes(blake3("\0".join((ALGORITHM, *names)).encode()).digest(length=8), "little")


def type_name(kind: Any) -> str:
    """The type of an array's values: how they are laid out (dictionaries, views, 64-bit offsets) is left out."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return type_name(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return f"{kind.extension_name}<{type_name(kind.storage_type)}>"
    if _is_text(kind):
        return "string"
    if _is_bytes(kind):
        return "binary"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{one.name}: {type_name(one.type)}' for one in kind)}>"
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if _is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return str(kind)


def mix(words: Words) -> Words:
    """`words` scrambled in place: each bit depends on all bits of its word."""
    other = words >> _SHIFT
    np.bitwise_xor(words, other, out=words)
    np.multiply(words, _FIRST, out=words)
    np.right_shift(words, _SHIFT, out=other)
    np.bitwise_xor(words, other, out=words)
    np.multiply(words, _SECOND, out=words)
    np.right_shift(words, _SHIFT, out=other)
    np.bitwise_xor(words, other, out=words)
    return words


def hashes(array: Any, seed: int) -> Words:
    """One hash per value. Nulls are a value like any other; so is NaN, which there is one of; 0.0 and -0.0 are equal."""
    found = _hashed(array, seed)
    if array.null_count and not pa.types.is_null(array.type):
        found[np.asarray(array.is_null())] = _null(seed)
    return found


def _null(seed: int) -> np.uint64:
    return np.uint64(seed_of("null", str(seed)))


def _hashed(array: Any, seed: int) -> Words:
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), _null(seed), dtype=np.uint64)
    if pa.types.is_dictionary(kind):
        return _by_index(array, seed)
    if isinstance(kind, pa.BaseExtensionType):
        return hashes(array.storage, seed)
    if pa.types.is_run_end_encoded(kind):
        return hashes(pc.run_end_decode(array), seed)
    if pa.types.is_boolean(kind):
        return _seeded(np.asarray(array.cast(pa.uint8()).fill_null(0)), seed)
    if pa.types.is_floating(kind):
        return _floats(_values(array, f"f{kind.bit_width // 8}"), seed)
    if _is_text(kind) or _is_bytes(kind):
        return _texts(array, seed)
    if pa.types.is_struct(kind):
        return _structs(array, seed)
    if _is_list(kind):
        return _lists(array, seed)
    width = getattr(kind, "bit_width", 0) if not pa.types.is_union(kind) else 0
    if width in (8, 16, 32, 64):
        signed = "u" if pa.types.is_unsigned_integer(kind) else "i"
        return _seeded(_values(array, f"{signed}{width // 8}"), seed)
    if width and width % 8 == 0:
        return _fixed(array, width // 8, seed)
    return _one_by_one(array, seed)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_list(kind: Any) -> bool:
    views = pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind)
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists or views or pa.types.is_map(kind))


# -------------------------------------------------------------------- values of one width


def _values(array: Any, dtype: str) -> np.ndarray[Any, Any]:
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype=dtype)
    size = np.dtype(dtype).itemsize
    return np.frombuffer(data, dtype=dtype, count=len(array), offset=array.offset * size)


def _seeded(values: np.ndarray[Any, Any], seed: int) -> Words:
    words = values.astype(np.int64).view(np.uint64) if values.dtype.kind == "i" else values.astype(np.uint64)
    np.add(words, np.uint64(seed), out=words)
    return mix(words)


def _floats(values: np.ndarray[Any, Any], seed: int) -> Words:
    wide = values.astype(np.float64)
    np.add(wide, 0.0, out=wide)  # -0.0 becomes 0.0
    words = wide.view(np.uint64)
    strange = np.isnan(wide)
    if strange.any():
        words[strange] = _NAN
    np.add(words, np.uint64(seed), out=words)
    return mix(words)


def _fixed(array: Any, size: int, seed: int) -> Words:
    """Decimals, intervals, fixed-size binaries."""
    raw = np.zeros((len(array), -(-size // 8) * 8), dtype=np.uint8)
    data = array.buffers()[1]
    if data is not None:
        given = np.frombuffer(data, dtype=np.uint8, count=len(array) * size, offset=array.offset * size)
        raw[:, :size] = given.reshape(len(array), size)
    parts = raw.view(np.uint64)
    found = np.full(len(array), np.uint64(seed), dtype=np.uint64)
    for column in range(parts.shape[1]):
        np.bitwise_xor(found, parts[:, column], out=found)
        found = mix(found)
    return found


# -------------------------------------------------------------------- texts


def _texts(array: Any, seed: int) -> Words:
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        array = array.cast(pa.large_binary() if _is_bytes(array.type) else pa.large_string())
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, places, data = array.buffers()
    count = len(array)
    if not count or places is None:
        return mix(np.full(count, np.uint64(seed), dtype=np.uint64))
    step = 8 if large else 4
    ends = np.frombuffer(places, dtype=f"i{step}", count=count + 1, offset=array.offset * step).astype(np.int64)
    low, high = int(ends[0]), int(ends[-1])
    raw = np.zeros(high - low + 8, dtype=np.uint8)  # eight more: words are read across the end
    if high > low:
        raw[:-8] = np.frombuffer(data, dtype=np.uint8, count=high - low, offset=low)
    ends -= low
    return _read(raw, ends[:-1], np.diff(ends), seed)


def _read(raw: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], seed: int) -> Words:
    words = np.ndarray((len(raw) - 7,), dtype=np.uint64, buffer=raw.data, strides=(1,))
    found = lengths.astype(np.uint64)
    np.multiply(found, _STEP, out=found)
    np.add(found, np.uint64(seed), out=found)
    found = mix(found)
    short = lengths <= _LONG
    if not short.all():
        for row in np.flatnonzero(~short):
            value = raw[starts[row] : starts[row] + lengths[row]]
            found[row] ^= np.uint64(int.from_bytes(blake3(value.tobytes()).digest(length=8), "little"))
        found = mix(found)
    rows = np.flatnonzero(short & (lengths > 0))
    at = 0
    while rows.size:
        left = lengths[rows] - at
        part = words[starts[rows] + at] & _MASKS[np.minimum(left, 8)]
        if rows.size == found.size:
            np.bitwise_xor(found, part, out=found)
            found = mix(found)
        else:
            found[rows] = mix(found[rows] ^ part)
        at += 8
        rows = rows[left > 8]
    return found


# -------------------------------------------------------------------- values made of others


def _by_index(array: Any, seed: int) -> Words:
    values = array.dictionary
    indices = np.asarray(array.indices.fill_null(0)).astype(np.int64)
    if not len(values):
        return np.full(len(array), _null(seed), dtype=np.uint64)
    if len(values) <= len(array):
        return hashes(values, seed)[indices]
    present, where = np.unique(indices, return_inverse=True)  # a slice of an array with many values
    return hashes(values.take(pa.array(present)), seed)[where]


def _structs(array: Any, seed: int) -> Words:
    found = np.full(len(array), np.uint64(seed), dtype=np.uint64)
    for position, field in enumerate(array.type):
        inner = seed_of("field", field.name, type_name(field.type), str(seed))
        np.add(found, hashes(array.field(position), inner), out=found)
    return mix(found)


def _lists(array: Any, seed: int) -> Words:
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        ends = np.arange(len(array) + 1, dtype=np.int64) * size
        values = array.values.slice(array.offset * size, len(array) * size)
    else:
        if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
            array = array.cast(pa.large_list(kind.value_field))
        ends = np.asarray(array.offsets).astype(np.int64)
        values = array.values.slice(int(ends[0]), int(ends[-1] - ends[0]))
        ends = ends - ends[0]
    starts, lengths = ends[:-1], np.diff(ends)
    items = hashes(values, seed_of("item", type_name(values.type), str(seed)))
    positions = (np.arange(len(items), dtype=np.int64) - np.repeat(starts, lengths)).astype(np.uint64)
    items = mix(items + positions * _STEP)
    sums = np.zeros(len(items) + 1, dtype=np.uint64)
    np.cumsum(items, out=sums[1:])
    return mix(sums[ends[1:]] - sums[starts] + lengths.astype(np.uint64) * _STEP + np.uint64(seed))


def _one_by_one(array: Any, seed: int) -> Words:
    """Unions and whatever else Arrow comes to know: slow, by the text of each value."""
    texts = [f"{type(one).__name__}:{one!r}" for one in array.to_pylist()]
    return hashes(pa.array(texts, pa.large_string()), seed)

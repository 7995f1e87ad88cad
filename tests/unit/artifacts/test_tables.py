"""Tables of pandas, Polars and Arrow come back equal, with their types, and each can be read as another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import polars.testing as plt
import pyarrow as pa
import pytest

from tidemill.artifacts import Artifacts
from tidemill.artifacts.problems import CannotRead, CannotStore
from tidemill.graph.values import INLINE_LIMIT, PREVIEW_LIMIT, Handle

MANY = 200_000  # rows: so many that the file is mapped


def pandas_frames() -> dict[str, pd.DataFrame]:
    index = pd.date_range("2026-01-01", periods=3, freq="D", tz="Europe/Paris", name="day")
    return {
        "numbers": pd.DataFrame({"i": [1, 2, 3], "u": np.array([1, 2, 3], "uint8"), "f": [1.0, np.nan, -0.0], "b": [True, False, True]}),
        "large": pd.DataFrame({"i": np.arange(MANY), "f": np.random.default_rng(1).random(MANY), "s": ["x", None] * (MANY // 2)}),
        "large-nan": pd.DataFrame({"f": [1.0, np.nan] * (MANY // 2)}, index=np.arange(MANY) * 2),
        "nullable": pd.DataFrame(
            {"i": pd.array([1, None] * 5000, "Int64"), "j": pd.array(range(10_000), "Int64"), "k": pd.array([True, None] * 5000, "boolean")}
        ),
        "strings": pd.DataFrame(
            {"s": ["a", None, "ü"], "o": pd.Series(["a", None, "b"], dtype=object), "n": pd.Series(["a", np.nan, "b"], dtype=object)}
        ),
        "categories": pd.DataFrame({"c": pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"], ordered=True)}),
        "moments": pd.DataFrame(
            {"t": index, "naive": pd.to_datetime(["2026-01-01", None, "2026-03-01"]), "d": pd.to_timedelta([1, 2, None], "s")}
        ),
        "decimals": pd.DataFrame({"d": pd.Series([Decimal("1.10"), None, Decimal("2.25")], dtype=object)}),
        "dates": pd.DataFrame({"d": pd.Series([date(2026, 1, 1), None, date(2026, 1, 3)], dtype=object)}),
        "day-index": pd.DataFrame({"v": [1.0, 2.0, 3.0]}, index=index),
        "multi-index": pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])),
        "number-labels": pd.DataFrame({0: [1], 1: [2.5]}),
        "two-row-labels": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])),
        "range": pd.DataFrame({"v": [1, 2]}, index=pd.RangeIndex(10, 14, 2, name="r")),
        "no-rows": pd.DataFrame({"i": np.array([], "int32"), "s": pd.Series([], dtype="str")}),
        "no-columns": pd.DataFrame(index=[3, 4]),
        "mixed-objects": pd.DataFrame({"o": pd.Series([1, "a", None, [2]], dtype=object)}),
        "decimal-scales": pd.DataFrame({"o": pd.Series([Decimal("1.1"), Decimal("1.10")], dtype=object)}),
        "none-and-nan": pd.DataFrame({"o": pd.Series(["a", None, np.nan], dtype=object)}),
        "same-labels": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    }


@pytest.mark.parametrize("name", pandas_frames())
def test_a_pandas_frame_comes_back_the_same(store: Artifacts, name: str) -> None:
    frame = pandas_frames()[name]
    back = store.load(store.keep(frame))
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_freq=True, check_index_type="exact")
    for at in range(frame.shape[1]):
        if frame.dtypes.iloc[at].kind == "O":
            assert [repr(value) for value in back.iloc[:, at]] == [repr(value) for value in frame.iloc[:, at]]


@pytest.mark.parametrize("name", ["mixed-objects", "decimal-scales", "none-and-nan", "same-labels"])
def test_a_pandas_frame_that_arrow_would_change_is_pickled_and_the_note_says_why(store: Artifacts, name: str) -> None:
    handle = store.keep(pandas_frames()[name])
    assert handle.codec == "pickle"
    assert re.match(r"pickled, because (column 'o' holds objects|Arrow cannot hold it|two of its columns)", handle.note or "")


def test_most_pandas_frames_are_stored_as_arrow(store: Artifacts) -> None:
    pickled = {name for name, frame in pandas_frames().items() if store.keep(frame).codec == "pickle"}
    assert pickled == {"mixed-objects", "decimal-scales", "none-and-nan", "same-labels"}


def test_changing_a_frame_that_was_read_changes_nothing_stored(store: Artifacts) -> None:
    handle = store.keep(pandas_frames()["large"])
    first = store.load(handle)
    first.iloc[0, 0] = -1
    first.loc[1, "f"] = 9.0
    first["f"] *= 2
    second = store.load(handle)
    assert (second.iloc[0, 0], second.loc[1, "f"]) == (0, pandas_frames()["large"].loc[1, "f"])


def test_a_pandas_series_comes_back_with_its_name(store: Artifacts) -> None:
    for series in (pd.Series([1, 2], name="n"), pd.Series(["a", None]), pd.Series([1.5] * MANY, name=0)):
        pd.testing.assert_series_equal(store.load(store.keep(series)), series)


def polars_frame(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "i": pl.Series(range(rows), dtype=pl.UInt16 if rows < 60_000 else pl.UInt64),
            "f": pl.Series([1.0, float("nan"), None, -0.0] * (rows // 4), dtype=pl.Float64),
            "s": ["short", None, "a text that is longer than twelve bytes", ""] * (rows // 4),
            "c": pl.Series(["x", "y", None, "x"] * (rows // 4), dtype=pl.Categorical),
            "e": pl.Series(["lo", "hi", "lo", None] * (rows // 4), dtype=pl.Enum(["lo", "hi"])),
            "d": pl.Series([Decimal("1.10"), None, Decimal("-2.05"), Decimal(0)] * (rows // 4), dtype=pl.Decimal(20, 2)),
            "t": pl.Series([datetime(2026, 1, 1, tzinfo=UTC)] * rows, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Europe/Paris"),
            "day": [date(2026, 1, 1), None, date(1, 1, 1), date(9999, 12, 31)] * (rows // 4),
            "l": [[1, None], [], None, [3]] * (rows // 4),
            "r": [{"a": 1, "b": None}] * rows,
            "y": [b"\0x", None, b"", b"z"] * (rows // 4),
        }
    )


@pytest.mark.parametrize("rows", [0, 4, 1000, MANY])
def test_a_polars_frame_comes_back_the_same(store: Artifacts, rows: int) -> None:
    frame = polars_frame(rows)
    handle = store.keep(frame)
    plt.assert_frame_equal(store.load(handle), frame, check_exact=True, categorical_as_str=True)
    assert store.load(handle).schema == frame.schema
    assert (handle.codec, handle.rows, handle.schema[0][0], (handle.data is None)) == ("polars", rows, "i", handle.size > INLINE_LIMIT)


def test_a_lazy_frame_is_written_and_stays_lazy(store: Artifacts) -> None:
    lazy = polars_frame(1000).lazy().filter(pl.col("i") > 500)
    handle = store.keep(lazy)
    back = store.load(handle)
    assert isinstance(back, pl.LazyFrame)
    assert handle.rows == 499
    plt.assert_frame_equal(back.collect(), lazy.collect(), categorical_as_str=True)


def test_a_small_lazy_frame_travels_in_its_handle(store: Artifacts) -> None:
    handle = store.keep(pl.LazyFrame({"a": [1, 2]}))
    assert handle.data is not None
    assert store.load(handle).collect().to_dict(as_series=False) == {"a": [1, 2]}


def test_a_lazy_frame_that_fails_raises_its_own_error_and_leaves_nothing(store: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        store.keep(pl.LazyFrame({"a": [1]}).select("missing"))
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def test_a_polars_series_comes_back_the_same(store: Artifacts) -> None:
    series = pl.Series("s", [1, None, 3], dtype=pl.Int8)
    plt.assert_series_equal(store.load(store.keep(series)), series)


def test_a_polars_frame_of_python_objects_is_stored_or_refused_but_never_changed(store: Artifacts) -> None:
    frame = pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(CannotStore, match="cannot be stored"):
        store.keep(frame)


@pytest.mark.parametrize(
    "value",
    [
        pa.table(
            {
                "i": [1, None],
                "s": ["a", None],
                "d": pa.array([Decimal("1.10"), None]),
                "m": pa.array([1, 2], pa.timestamp("ns", "Europe/Paris")),
            }
        ),
        pa.table({"c": pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c"]).dictionary_encode()])}),
        pa.table({"i": range(MANY)}).replace_schema_metadata({"k": "v"}),
        pa.table({"i": pa.array([], pa.int8())}),
        pa.RecordBatch.from_pydict({"i": [1, 2], "f": [float("nan"), None]}),
        pa.array([1, None, 3]),
        pa.chunked_array([[1], [2, 3]]),
    ],
    ids=["table", "dictionaries", "large", "empty", "batch", "array", "chunks"],
)
def test_an_arrow_value_comes_back_the_same(store: Artifacts, value: object) -> None:
    back = store.load(store.keep(value))
    assert isinstance(back, type(value))
    if isinstance(value, pa.Table | pa.RecordBatch):
        assert back.schema.equals(value.schema, check_metadata=True) or "c" in value.schema.names
    assert back.to_pylist()[:1000].__repr__() == value.to_pylist()[:1000].__repr__()


@pytest.mark.parametrize("rows", [3, MANY])
@pytest.mark.parametrize(
    "want", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.Table], ids=lambda want: f"{want.__module__.split('.')[0]}-{want.__name__}"
)
@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow"])
def test_a_table_is_read_as_the_kind_that_is_asked_for(store: Artifacts, kind: str, want: type, rows: int) -> None:
    table = pa.table({"i": range(rows), "s": ["a"] * rows})
    value = {"pandas": table.to_pandas(), "polars": pl.from_arrow(table), "arrow": table}[kind]
    got = store.load(store.keep(value), want=want)
    assert isinstance(got, want)
    if isinstance(got, pl.LazyFrame):
        got = got.collect()
    assert [int(got["i"][at].as_py() if want is pa.Table else got["i"][at]) for at in (0, rows - 1)] == [0, rows - 1]


@pytest.mark.parametrize("rows", [3, MANY])
def test_a_table_is_read_as_a_file_when_a_path_is_asked_for(store: Artifacts, rows: int) -> None:
    path = store.load(store.keep(pl.DataFrame({"i": range(rows)})), want=Path)
    assert isinstance(path, Path)
    assert path.name == "data.arrow"
    assert pl.read_ipc(path).height == rows


@pytest.mark.parametrize(
    "want", [pd.DataFrame, pl.DataFrame, pl.LazyFrame, pa.Table], ids=lambda want: f"{want.__module__.split('.')[0]}-{want.__name__}"
)
@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_a_stored_file_is_read_as_a_table_by_its_suffix(store: Artifacts, tmp_path: Path, suffix: str, want: type) -> None:
    path = tmp_path / f"t.{suffix}"
    frame = pl.DataFrame({"i": [1, 2], "s": ["a", "b"]})
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "arrow": frame.write_ipc}[suffix](path)
    got = store.load(store.keep(path), want=want)
    assert isinstance(got, want)
    assert len(got.collect() if isinstance(got, pl.LazyFrame) else got) == 2


def test_a_file_that_is_no_table_is_refused_by_name(store: Artifacts, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CannotRead, match=r"notes\.txt cannot be read as a table"):
        store.load(store.keep(tmp_path / "notes.txt"), want=pl.DataFrame)


def test_asking_for_a_table_leaves_other_values_alone(store: Artifacts) -> None:
    assert store.load(store.keep([1, 2]), want=pl.DataFrame) == [1, 2]


def test_the_preview_shows_the_first_rows_within_its_limit(store: Artifacts) -> None:
    handle = store.keep(pl.DataFrame({"id": range(50), "name": [f"n{at}" for at in range(50)]}))
    lines = (handle.preview or "").splitlines()
    assert (lines[0].split(), lines[1].split(), lines[-1]) == (["id", "name"], ["0", "n0"], "… 50 rows in all")
    wide = store.keep(pd.DataFrame({f"column{at}": ["x" * 500] * 20 for at in range(100)}))
    assert len(wide.preview or "") <= PREVIEW_LIMIT
    assert "… 80 more columns" in wide.preview


def test_arrays_come_back_the_same_and_can_be_changed_without_harm(store: Artifacts) -> None:
    for array in (
        np.arange(MANY, dtype="int16").reshape(2, -1),
        np.asfortranarray(np.random.default_rng(0).random((300, 200))),
        np.arange(10)[::2],
        np.array(["a", "ü"]),
        np.array(["2026-01-01", "NaT"], "datetime64[s]"),
        np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        np.zeros((0, 3)),
        np.array(5),
        np.array([1 + 2j, np.nan]),
    ):
        handle = store.keep(array)
        back = store.load(handle)
        assert handle.codec == "numpy"
        assert type(back) is np.ndarray
        assert back.dtype == array.dtype
        assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous
        np.testing.assert_array_equal(back, array)
        back[...] = back[::-1] if back.ndim and len(back) else back
        np.testing.assert_array_equal(store.load(handle), array)


def test_numbers_of_numpy_keep_their_type_alone_and_inside_of_lists(store: Artifacts) -> None:
    for number in (np.float32(1.5), np.int64(2**60), np.bool_(False), np.datetime64("2026-01-01"), np.str_("x")):
        back, inner = store.load(store.keep(number)), store.load(store.keep([{"n": number}]))
        assert (back, type(back)) == (number, type(number))
        assert (inner[0]["n"], type(inner[0]["n"])) == (number, type(number))
    assert store.keep(np.bool_(False)).shape.truth is False


def test_an_array_of_objects_is_pickled_and_says_so(store: Artifacts) -> None:
    handle = store.keep(np.array([1, "a", None], dtype=object))
    assert (handle.codec, handle.note.split(":")[0]) == ("pickle", "pickled, because it is an array of Python objects")
    assert list(store.load(handle)) == [1, "a", None]


def test_tensors_come_back_the_same(store: Artifacts) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its codec is not tried here")
    tensor, state = torch.arange(MANY, dtype=torch.float32), {"w": torch.ones(2, 3), "b": torch.tensor(1.5)}
    assert torch.equal(store.load(store.keep(tensor)), tensor)
    back = store.load(store.keep(state))
    assert store.keep(state).codec == "torch"
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_a_table_is_read_by_a_process_that_never_saw_it(store: Artifacts, tmp_path: Path) -> None:
    handle = store.keep(polars_frame(MANY))
    (tmp_path / "handle").write_bytes(msgspec.json.encode(handle))
    code = (
        "import sys, msgspec; from pathlib import Path; from tidemill.artifacts import Artifacts\n"
        "from tidemill.artifacts.local import LocalFolder;"
        "from tidemill.graph.values import Handle; at = Path(sys.argv[1]);"
        "frame = Artifacts(LocalFolder(at / 'artifacts')).load(msgspec.json.decode((at / 'handle').read_bytes(), type=Handle));"
        "print(frame['i'].sum(), frame.height)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, env=os.environ)
    assert said.stdout.split() == [str(MANY * (MANY - 1) // 2), str(MANY)]


def test_a_handle_of_a_later_version_is_refused(store: Artifacts) -> None:
    with pytest.raises(CannotRead, match="stored as 'json', version 99"):
        store.load(Handle("json", store.keep(1).digest, 1, version=99, data=b"1"))

"""Digests of tables: what is equal, what is not, and how close is close enough."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.errors import BadSetting
from tidemill.fingerprint import approx_equal, is_table, joined, table_digest

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pd = pytest.importorskip("pandas")

UTC = dt.UTC
VALUES = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=40),
    pa.large_string(): st.text(max_size=1000),
    pa.binary(): st.binary(max_size=40),
    pa.binary(5): st.binary(min_size=5, max_size=5),
    pa.date32(): st.dates(),
    pa.timestamp("us", "Europe/Berlin"): st.integers(-(10**15), 10**15).map(lambda us: dt.datetime.fromtimestamp(us // 10**6, UTC)),
    pa.duration("us"): st.timedeltas(dt.timedelta(-10), dt.timedelta(10)),
    pa.decimal128(20, 3): st.decimals(-1000, 1000, places=3),
    pa.list_(pa.int64()): st.lists(st.integers(0, 9), max_size=4),
    pa.list_(pa.string(), 2): st.lists(st.text(max_size=3), min_size=2, max_size=2),
    pa.struct({"a": pa.int64(), "b": pa.list_(pa.string())}): st.fixed_dictionaries(
        {"a": st.integers(0, 9), "b": st.lists(st.text(max_size=3), max_size=3)}
    ),
    pa.map_(pa.string(), pa.int64()): st.lists(st.tuples(st.text(max_size=3), st.integers(0, 9)), max_size=3),
    pa.null(): st.none(),
}


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=3))
    rows = draw(st.integers(0, 12))
    columns = [pa.array(draw(st.lists(VALUES[kind] | st.none(), min_size=rows, max_size=rows)), kind) for kind in kinds]
    return pa.table(dict(zip("abc", columns, strict=False)))


@settings(max_examples=200, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_rows_in_another_order_and_other_chunks_are_the_same_table(table, chance):
    order = list(range(table.num_rows))
    chance.shuffle(order)
    cut = chance.randint(0, table.num_rows)
    moved = pa.concat_tables([*(table.take(pa.array(part, pa.int64())) for part in (order[:cut], order[cut:]))])
    assert table_digest(moved) == table_digest(table)


@settings(max_examples=200, deadline=None)
@given(tables(), st.data())
def test_a_slice_has_the_digest_of_its_rows_alone(table, data):
    start = data.draw(st.integers(0, table.num_rows))
    part = table.slice(start)
    assert table_digest(part) == table_digest(pa.Table.from_pylist(part.to_pylist(), part.schema))


@settings(max_examples=100, deadline=None)
@given(tables(), st.data())
def test_the_digests_of_parts_add_up_to_that_of_the_whole(table, data):
    cut = data.draw(st.integers(0, table.num_rows))
    assert joined([table_digest(table[:cut]), table_digest(table[cut:])]) == table_digest(table)


@settings(max_examples=300, deadline=None)
@given(tables(), tables())
def test_different_tables_have_different_digests(one, other):
    def rows(table):
        return table.schema.types, sorted(map(repr, table.to_pylist()))

    # 0.0 and -0.0 have two texts and are one value: such examples say nothing here.
    if "-0.0" not in repr((rows(one), rows(other))):
        assert (rows(one) == rows(other)) == (table_digest(one) == table_digest(other))


CHANGES = {
    "a value": lambda t: t.set_column(0, "id", pa.array([1, 2, 3, 5])),
    "a row more": lambda t: pa.concat_tables([t, t.slice(0, 1)]),
    "a row less": lambda t: t.slice(1),
    "one column against the others": lambda t: t.set_column(1, "name", t["name"].take([1, 0, 2, 3])),
    "a name of a column": lambda t: t.rename_columns(["key", "name", "net"]),
    "columns in another order": lambda t: t.select(["name", "id", "net"]),
    "a type": lambda t: t.set_column(0, "id", t["id"].cast(pa.int32())),
    "a null instead of an empty text": lambda t: t.set_column(1, "name", pa.array(["a", "b", "c", None])),
    "a null instead of NaN": lambda t: t.set_column(2, "net", pa.array([0.5, 1.5, 0.0, None])),
    "the values of two columns swapped": lambda t: t.set_column(0, "id", t["net"]).set_column(2, "net", t["id"]),
}


@pytest.fixture
def table():
    return pa.table({"id": [1, 2, 3, 4], "name": ["a", "b", "c", ""], "net": [0.5, 1.5, 0.0, float("nan")]})


@pytest.mark.parametrize("change", CHANGES)
def test_every_other_table_has_another_digest(table, change):
    assert table_digest(CHANGES[change](table)) != table_digest(table)


def test_columns_that_are_moved_against_each_other_are_the_same_columns_of_another_table(table):
    moved = table_digest(CHANGES["one column against the others"](table))
    assert moved.columns == table_digest(table).columns
    assert moved.table != table_digest(table).table


def test_a_changed_column_leaves_the_others_digests(table):
    old, new = table_digest(table), table_digest(CHANGES["a value"](table))
    assert {name for name in old.columns if old.columns[name] != new.columns[name]} == {"id"}


def test_zeros_have_no_sign_and_nans_are_one():
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    assert table_digest(pa.table({"x": pa.array(odd)})) == table_digest(pa.table({"x": [float("nan")] * 2}))
    assert table_digest(pa.table({"x": [0.0]})) == table_digest(pa.table({"x": [-0.0]}))


def test_values_count_and_not_how_a_library_keeps_them():
    rows = {
        "id": [1, 2, None],
        "kind": ["a", "b", "a"],
        "at": [dt.datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
        "sum": [Decimal("1.50"), None, Decimal(0)],
    }
    arrow = pa.table({**rows, "sum": pa.array(rows["sum"], pa.decimal128(12, 2))})
    polars = pl.from_arrow(arrow)
    expected = table_digest(arrow)
    assert expected.schema == "id: int64, kind: string, at: timestamp[us, tz=UTC], sum: decimal(12, 2)"
    assert table_digest(polars) == expected
    assert table_digest(polars.with_columns(pl.col("kind").cast(pl.Categorical))) == expected
    assert table_digest(arrow.set_column(1, "kind", arrow["kind"].dictionary_encode())) == expected
    assert table_digest(arrow.to_pandas(types_mapper=pd.ArrowDtype)) == expected


def test_a_dictionary_of_more_values_than_rows_counts_by_the_values_used():
    many = pa.DictionaryArray.from_arrays(pa.array([7, None, 3]), pa.array([f"v{n}" for n in range(10)]))
    assert table_digest(pa.table({"x": many})) == table_digest(pa.table({"x": ["v7", None, "v3"]}))


def test_the_digest_is_what_it_was_when_it_was_made():
    """Stored digests must hold for ever: a change of these figures needs another name of the algorithm."""
    table = pa.table({"id": [1, 2, None], "name": ["a", None, "long" * 300], "net": [0.1, float("nan"), -0.0], "tags": [["x"], [], None]})
    made = table_digest(table)
    assert made.algorithm == "rows-1"
    assert made.rows == 3
    assert (made.table, made.columns) == PINNED


PINNED = (
    "40916c6c0adf1e7863bbf50c75880786",
    {
        "id": "4ec244f7d77bcbd8a1d9ceaebdd0b30e",
        "name": "99f3792b3fd081a5fa72060c484cf025",
        "net": "8e1ba172a8608a594b6eb5ae556399fd",
        "tags": "a2e37db9ec16a0233f0a40c46876553b",
    },
)


def test_series_streams_and_lists_are_no_tables():
    table = pa.table({"x": [1]})
    assert not any(map(is_table, [table["x"], pl.Series([1]), table.to_reader(), [1], {"x": [1]}, pl.LazyFrame({"x": [1]})]))
    assert table_digest([1]) is None
    assert is_table(table)


def test_what_arrow_has_no_type_for_has_no_digest():
    assert table_digest(pd.DataFrame({"x": [1, "a", object()]})) is None


def test_digests_that_do_not_fit_are_not_joined():
    with pytest.raises(BadSetting) as caught:
        joined([table_digest(pa.table({"x": [1]})), table_digest(pa.table({"y": [1]}))])
    assert "cannot be joined" in caught.value.what
    assert caught.value.mend == "Digest the joined table itself."


def test_without_numpy_the_bytes_are_digested():
    code = """
import sys
sys.modules["numpy"] = None  # as if it were not installed
import polars, pyarrow
from tidemill.fingerprint import table_digest
for table in (polars.DataFrame({"x": [1, 2]}), pyarrow.table({"x": [1, 2]})):
    made = table_digest(table)
    assert (made.algorithm, made.rows, made.columns) == ("bytes-1", 2, {}), made
    assert made == table_digest(table)
    assert made.table != table_digest(table[:1]).table
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- nearly equal


def noisy(table, by):
    return table.set_column(2, "net", pa.array(table["net"].to_numpy() * (1 + by)))


def test_floats_may_differ_by_the_tolerance_and_no_more(table):
    moved = noisy(table, 1e-12).take([3, 1, 0, 2])
    assert approx_equal(table, moved, 1e-9)
    assert not approx_equal(table, noisy(table, 1e-6), 1e-9)
    assert not approx_equal(table, noisy(table, 1e-12), 0)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_a_float_must_be_equal(table, change):
    assert not approx_equal(table, CHANGES[change](table), 1e-3)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1.0, 1.0 + 1e-12, 2.0, 0.0]), st.sampled_from([0.0, 5.0, -3.0])), max_size=12),
    st.randoms(use_true_random=False),
)
def test_rows_that_noise_puts_in_another_order_are_still_found(rows, chance):
    def as_table(pairs):
        return pa.table({"x": pa.array([x for x, _ in pairs], pa.float64()), "y": pa.array([y for _, y in pairs], pa.float64())})

    other = [(x * (1 + chance.choice([-1, 0, 1]) * 1e-12), y) for x, y in rows]
    chance.shuffle(other)
    assert approx_equal(as_table(rows), as_table(other), 1e-9)
    if rows:
        x, y = other[0]
        assert not approx_equal(as_table(rows), as_table([(x, y + 1), *other[1:]]), 1e-9)


def test_missing_floats_are_equal_to_missing_ones_only():
    with_null, with_zero = pa.table({"x": [None, 1.0]}), pa.table({"x": [0.0, 1.0]})
    assert approx_equal(with_null, with_null.take([1, 0]), 1e-9)
    assert not approx_equal(with_null, with_zero, 1e-9)


def test_what_is_no_table_is_never_nearly_equal():
    assert not approx_equal([1], [1], 1e-9)


@pytest.mark.parametrize("tolerance", [-1, 1, float("nan")])
def test_a_tolerance_is_between_nothing_and_all(tolerance):
    with pytest.raises(BadSetting) as caught:
        approx_equal(1, 1, tolerance)
    assert "is no tolerance" in caught.value.what
    assert "same=approx(1e-9)" in caught.value.mend

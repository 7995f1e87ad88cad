"""Checks: the same answer for a table of any library, in words that say what is wrong."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tidemill import asset, check
from tidemill.graph.assets import CheckResult
from tidemill.quality.checks import run_checks
from tidemill.quality.problems import BadCheck, ChecksFailed
from tidemill.quality.tables import Rows, as_kind, instant_of

DATA = {
    "id": [1, 2, 2, None],
    "amount": [1.0, float("nan"), 5.0, 200.0],
    "country": ["FR", "FR", "DE", "xx"],
    "at": ["2026-01-01T00:00", "2026-01-02T00:00", None, "2026-01-01T12:00"],
}
ROWS = [dict(zip(DATA, row, strict=True)) for row in zip(*DATA.values(), strict=True)]
TABLES = {
    "polars": pl.DataFrame(DATA), "lazy": pl.LazyFrame(DATA), "pandas": pd.DataFrame(DATA), "arrow": pa.table(DATA), "rows": ROWS,
}  # fmt: skip
NOW = datetime(2026, 1, 2, 3, tzinfo=UTC).timestamp()


def one(value: object, wanted: object) -> CheckResult:
    (found,) = run_checks(value, [wanted], now=NOW)
    return found


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    ("wanted", "passed", "message"),
    [
        (check.unique("id"), False, "2 of 4 rows: 'id' is not unique"),
        (check.unique("id", "amount"), True, "4 rows"),
        (check.unique("country", where="country <> 'FR'"), True, "2 rows"),
        (check.not_null("id"), False, "1 of 4 rows: 'id' is missing"),
        (check.not_null("amount"), False, "1 of 4 rows: 'amount' is missing"),
        (check.not_null("id", "amount"), False, "2 of 4 rows: 'id', 'amount' is missing"),
        (check.not_null("amount", mostly=0.75), True, "1 of 4 rows: 'amount' is missing (25.00%; 25.00% may)"),
        (check.not_null("amount", mostly=0.76), False, "1 of 4 rows: 'amount' is missing (25.00%; 24.00% may)"),
        (check.not_null("amount", where="country = 'DE'"), True, "1 rows"),
        (check.values("country", {"FR", "DE"}), False, "1 of 4 rows: 'country' is none of 'DE', 'FR'"),
        (check.values("id", [1, 2]), True, "4 rows"),
        (check.between("amount", 0, 100), False, "1 of 4 rows: 'amount' is outside"),
        (check.between("amount", least=2), False, "1 of 4 rows: 'amount' is outside"),
        (check.between("amount", most=200), True, "4 rows"),
        (check.regex("country", "[A-Z]{2}"), False, "1 of 4 rows: 'country' does not match '[A-Z]{2}'"),
        (check.regex("country", "[A-Z]"), False, "4 of 4 rows: 'country' does not match '[A-Z]'"),
        (check.rows(min=4, max=4), True, "4 rows"),
        (check.rows(min=1_000), False, "4 rows, fewer than 1,000"),
        (check.rows(max=3), False, "4 rows, more than 3"),
        (check.rows(max=3, where="country = 'FR'"), True, "2 rows"),
        (check.columns(["id", "at"]), True, "4 columns"),
        (check.columns(["id", "x"], exactly=True), False, "missing: x; not expected: amount, country, at"),
        (check.types({"country": str, "amount": float}), True, "2 columns"),
        (check.types({"country": int, "x": str}), False, "not int; there is no column 'x'"),
        (check.fresh("at", "3h"), True, "the latest is 2026-01-02T00:00"),
        (check.fresh("at", "2h"), False, "the latest 'at' is 2026-01-02T00:00, more than 2h ago"),
        (check.fresh("amount", "2h"), False, "more than 2h ago"),
        (check.fresh("country", "2h"), False, "'country' holds a str, not a time"),
        (check.unique("idd"), False, "there is no column 'idd'; did you mean 'id'?"),
        (check.fresh("att", "2h"), False, "there is no column 'att'; did you mean 'at'?"),
        (check.rows(min=1, where="contry = 'FR'"), False, "is not a condition on this table"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_check_finds_the_same_in_every_kind_of_table(kind: str, wanted: object, passed: bool, message: str) -> None:
    found = one(TABLES[kind], wanted)
    assert found.passed is passed
    assert message in found.message
    assert found.name == wanted.name


def test_counts_of_rows_are_told() -> None:
    found = one(ROWS, check.unique("id"))
    assert (found.failed_rows, found.of_rows, found.severity) == (2, 4, "error")


def test_an_empty_table_has_no_wrong_rows() -> None:
    assert one([], check.unique("id")).passed
    assert one(pl.DataFrame({"id": []}), check.not_null("id")).passed
    assert one(pl.DataFrame({"id": []}), check.fresh("id", "1h")).message == "'id' has no time in it"


def test_what_is_no_table_fails_and_says_so() -> None:
    assert one(3, check.unique("id")).message == "it is a int, and not a table"
    assert one(3, check.columns(["a"])).message == "it is a int, and not a table"
    assert one([1, 2], check.rows(min=3)).message == "2 rows, fewer than 3"


def test_a_check_that_raises_has_failed_and_says_so() -> None:
    found = one(3, check.rows(min=1))
    assert not found.passed
    assert found.message == "the check itself failed: TypeError: object of type 'int' has no len()"


def test_rows_without_a_library_cannot_answer_conditions() -> None:
    with pytest.raises(BadCheck, match=r"where='a = 1' cannot be asked here") as caught:
        Rows([{"a": 1}]).where("a = 1")
    assert "tidemill[polars]" in caught.value.mend


def test_lists_of_rows_import_no_library() -> None:
    code = (
        "import sys; from tidemill.quality.check import check; from tidemill.quality.checks import run_checks; "
        "run_checks([{'a': 1}], [check.unique('a'), check.rows(min=1), check.types({'a': int})], now=0.0); "
        "print(*[name for name in ('polars', 'pandas', 'pyarrow', 'numpy', 'duckdb') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_columns_of_mixed_objects_are_looked_at_all_the_same() -> None:
    mixed = pd.DataFrame({"a": [1, "x", None, object]})
    assert one(mixed, check.not_null("a")).failed_rows == 1


def test_whole_and_broken_numbers_are_numbers() -> None:
    assert one([{"a": 1}, {"a": 2.5}], check.types({"a": float})).passed
    assert one([{"a": 1}, {"a": "x"}], check.types({"a": float})).message == "a is mixed, not float"


def test_times_are_read_as_people_write_them() -> None:
    midnight = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    for value in ("2026-01-02", "2026-01-02T01:00+01:00", date(2026, 1, 2), datetime(2026, 1, 2), midnight):  # noqa: DTZ001 - without a zone
        assert instant_of(value) == midnight
    assert instant_of("soon") is None
    assert instant_of(value=True) is None


# ------------------------------------------------------------ written by the user


@asset
def orders() -> pl.DataFrame:
    return pl.DataFrame({"amount": [1, -2]})


def judged(function: object, value: object = None) -> CheckResult:
    made = asset(name="x")(orders.function)
    check(made)(function)
    return one(value, made.checks[0])


def test_a_function_says_true_or_false_or_what_is_wrong() -> None:
    def sane(orders) -> bool:
        """Amounts are positive."""
        return orders

    assert judged(sane, value=True) == CheckResult(name="sane", passed=True)
    assert judged(sane, value=False).message == "it does not hold: Amounts are positive."
    assert judged(sane, value=(False, "two")).message == "two"
    assert judged(sane, value=CheckResult(name="", passed=False, failed_rows=3)).failed_rows == 3
    assert "The check 'sane' returned 'yes'" in judged(sane, value="yes").message


def test_a_function_gets_the_kind_of_table_that_it_asks_for() -> None:
    def as_pandas(orders: pd.DataFrame) -> bool:
        return bool((orders["amount"] > 0).all())

    def as_arrow(orders: pa.Table) -> bool:
        return orders.num_rows == 2

    def as_lazy(orders: pl.LazyFrame) -> bool:
        return orders.collect().height == 2

    assert judged(as_pandas, orders()).message == "it returned False"
    for value in (orders(), orders().lazy(), orders().to_pandas(), orders().to_arrow()):
        assert judged(as_arrow, value).passed
        assert judged(as_lazy, value).passed
    assert as_kind([1], pl.DataFrame) == [1]


def test_a_check_belongs_to_its_asset_and_stays_a_function() -> None:
    made = asset(checks=[check.rows(min=1)])(orders.function)

    @check(made, severity="warn")
    def sane(orders: pl.DataFrame) -> bool:
        return True

    assert sane(1) is True
    assert [(one.name, one.severity) for one in made.checks] == [("rows(min=1)", "error"), ("sane", "warn")]


# ------------------------------------------------------------ what cannot be


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (check.unique, r"check.unique\(\) was not told which columns"),
        (lambda: check.columns("id"), r"check.columns\(\) was not told which columns"),
        (lambda: check.unique("id", mostly=2), "mostly=2 is not a share"),
        (lambda: check.unique("id", severity="bad"), "severity='bad' is not known"),
        (lambda: check.unique("id", mosty=1), "A check has no option 'mosty'"),
        (check.rows, r"check.rows\(\) has no limit"),
        (lambda: check.rows(min=1, mostly=0.5), "A check has no option 'mostly'"),
        (lambda: check.between("a"), r"check.between\('a'\) has no limit"),
        (lambda: check.regex("a", "("), r"'\(' is not a regular expression"),
        (lambda: check("orders"), "@check was given 'orders', which is not an asset"),
        (lambda: check(orders)(lambda: True), "is not a plain function of one argument"),
    ],
)
def test_a_check_that_cannot_be_is_refused_where_it_is_written(make, text: str) -> None:
    with pytest.raises(BadCheck, match=text):
        make()


def test_the_error_of_failed_checks_names_each_with_what_it_found() -> None:
    results = [
        CheckResult(name="unique(id)", passed=False, message="2 of 4 rows: 'id' is not unique"),
        CheckResult(name="rows(min=1)", passed=True),
        CheckResult(name="sane", passed=False, severity="warn", message="hm"),
    ]
    problem = ChecksFailed("orders", results)
    assert problem.what == "'orders' did not pass 1 of its 3 checks: unique(id): 2 of 4 rows: 'id' is not unique"
    assert "The version before stays in place." in problem.why
    assert ChecksFailed("orders", results[:1]).what.startswith("'orders' did not pass its check: unique(id)")

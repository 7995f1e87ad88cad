"""Wildlife strikes on aircraft, as assets: reports that arrive as files; clean rows, a table per month, and totals that follow.

Run it:  tidemill run examples/birdstrikes_assets/birdstrikes_assets.py '*'
Again:   nothing is computed. Put another file into the inbox, change a function, and see: tidemill plan
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from tidemill import asset, check, source

DAMAGE = {"None": "none", "Minor": "minor", "Medium": "medium", "Substantial": "substantial"}
INBOX = os.environ.get("BIRDSTRIKES_INBOX", "../birdstrikes/data")

raw = source.files(f"{INBOX}/*.csv", by="content", description="Reports as they were filed, in files that come one by one.")


def tidy(filed: pl.DataFrame) -> pl.DataFrame:
    """Plain names and types for the columns that are used."""
    operator, damage = pl.col("Aircraft Airline Operator"), pl.col("Effect Amount of damage")
    return filed.select(
        date=pl.col("Flight Date").cast(pl.Date),
        operator=operator.str.strip_chars("* "),
        species=pl.col("Wildlife Species"),
        damage=damage.replace_strict(DAMAGE, default="unknown"),
        cost=pl.col("Cost Total $").cast(pl.Int64),
    )


def did_damage() -> pl.Expr:
    """Whether a strike did any."""
    return pl.col("damage").is_in(["minor", "medium", "substantial"])


@asset(tags=["clean"], owner="safety")
def clean(raw: list[Path]) -> pl.DataFrame:
    """One row per strike. A report filed twice counts once; one without a date not at all."""
    filed = pl.concat([pl.read_csv(file, try_parse_dates=True) for file in raw]).unique(maintain_order=True)
    return tidy(filed).drop_nulls("date")


@asset(tags=["aggregate"], owner="safety")
def by_month(clean: pl.DataFrame) -> pl.DataFrame:
    """One row per month: strikes, how many did damage, and what they cost."""
    return (
        clean.group_by(month=pl.col("date").dt.truncate("1mo"))
        .agg(strikes=pl.len().cast(pl.Int64), damaging=did_damage().sum().cast(pl.Int64), cost=pl.col("cost").sum())
        .sort("month")
    )


@check(by_month)
def months_are_unique(months: pl.DataFrame) -> bool:
    """A month that is there twice would be counted twice."""
    return months["month"].is_unique().all()


@asset(tags=["publish"], owner="safety")
def totals(by_month: pl.DataFrame) -> dict[str, int | str]:
    """What a reader wants to know first."""
    worst = by_month.sort("strikes", descending=True).row(0, named=True)
    return {
        "reports": int(by_month["strikes"].sum()),
        "damaging": int(by_month["damaging"].sum()),
        "cost": int(by_month["cost"].sum()),
        "months": by_month.height,
        "worst month": f"{worst['month']:%Y-%m}",
    }


@asset(tags=["publish"], owner="safety")
def table(by_month: pl.DataFrame) -> str:
    """The table as text, for spreadsheets."""
    return by_month.write_csv()

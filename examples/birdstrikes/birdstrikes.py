"""Wildlife strikes on aircraft: ten thousand reports in; a table, a figure and totals out.

Run it:  tidemill run examples/birdstrikes/birdstrikes.py
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tidemill import flow, task

HERE = Path(__file__).parent
DAMAGE = {"None": "none", "Minor": "minor", "Medium": "medium", "Substantial": "substantial"}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@task(retries=3, retry_on=OSError, backoff="exponential", tags=["ingest"])
def ingest(source: Path) -> pl.DataFrame:
    """The reports as they were filed. A file on a network drive may need a second try."""
    return pl.read_csv(source, try_parse_dates=True)


@task(tags=["clean"])
def clean(filed: pl.DataFrame) -> pl.DataFrame:
    """One row per strike, plainly named and typed. A report filed twice counts once; one without a date not at all."""
    operator, damage = pl.col("Aircraft Airline Operator"), pl.col("Effect Amount of damage")
    return (
        filed.unique(maintain_order=True)
        .select(
            date=pl.col("Flight Date").cast(pl.Date),
            operator=operator.str.strip_chars("* "),
            species=pl.col("Wildlife Species"),
            damage=damage.replace_strict(DAMAGE, default="unknown"),
            cost=pl.col("Cost Total $").cast(pl.Int64),
            speed=pl.col("Speed IAS in knots").cast(pl.Int64),
        )
        .drop_nulls("date")
    )


@task(tags=["clean"])
def account(filed: pl.DataFrame, strikes: pl.DataFrame) -> dict[str, int]:
    """What became of how many reports, so that nobody has to wonder about a missing one."""
    distinct = filed.n_unique()
    counts = {
        "filed": filed.height,
        "duplicates dropped": filed.height - distinct,
        "undated dropped": distinct - strikes.height,
        "kept": strikes.height,
        "damage code unknown": strikes.filter(pl.col("damage") == "unknown").height,
        "speed not reported": strikes["speed"].null_count(),
    }
    for what, count in counts.items():
        print(f"{what:>22} {count:>7,}")
    return counts


@task
def years_of(strikes: pl.DataFrame) -> list[int]:
    """The years that the reports cover: known only once they are read."""
    return strikes["date"].dt.year().unique().sort().to_list()


@task(tags=["aggregate"])
def by_month(strikes: pl.DataFrame, year: int) -> pl.DataFrame:
    """One row per month of `year`: strikes, how many did damage, and what they cost."""
    return (
        strikes.filter(pl.col("date").dt.year() == year)
        .group_by(month=pl.col("date").dt.truncate("1mo"))
        .agg(
            strikes=pl.len().cast(pl.Int64),
            damaging=pl.col("damage").is_in(["minor", "medium", "substantial"]).sum().cast(pl.Int64),
            cost=pl.col("cost").sum(),
        )
        .sort("month")
    )


@task
def join_years(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The years one after another."""
    return pl.concat(parts).sort("month")


@task(tags=["publish"])
def publish_table(months: pl.DataFrame, folder: Path) -> list[Path]:
    """The table, for spreadsheets and for programs."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "strikes_by_month.csv", folder / "strikes_by_month.parquet"]
    months.write_csv(files[0])
    months.write_parquet(files[1])
    return files


@task(tags=["publish"])
def publish_figure(months: pl.DataFrame, folder: Path) -> Path:
    """A calendar of colour, one row per year: the autumn migration shows as a dark band."""
    cell, left, top = 34, 60, 70
    rows = months.rows()
    most, first, last = max(row[1] for row in rows), rows[0][0].year, rows[-1][0].year
    marks = [f'<text x="{left + (m + 0.5) * cell}" y="{top - 10}">{name}</text>' for m, name in enumerate(MONTHS)]
    marks += [f'<text x="{left - 26}" y="{top + (y - first + 0.62) * cell}">{y}</text>' for y in range(first, last + 1)]
    for month, strikes, damaging, cost in rows:
        x, y = left + (month.month - 1) * cell, top + (month.year - first) * cell
        tip = f"{month:%B %Y}: {strikes} strikes, {damaging} with damage, ${cost:,}"
        light = 94 - 66 * strikes / most
        square = f'x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="{cell - 2}" rx="4" fill="hsl(205 70% {light:.0f}%)"'
        marks.append(f"<rect {square}><title>{tip}</title></rect>")
        marks.append(f'<text x="{x + cell / 2}" y="{y + cell * 0.62}" fill="{"#fff" if light < 62 else "#456"}">{strikes}</text>')
    width, height = left + 12 * cell + 20, top + (last - first + 1) * cell + 20
    title = f'<text x="{left}" y="30" font-size="17" text-anchor="start">Wildlife strikes reported per month</text>'
    text = 'font-family="system-ui, sans-serif" font-size="11" text-anchor="middle" fill="#456"'
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "strikes_by_month.svg"
    back = '<rect width="100%" height="100%" fill="#fff"/>'
    canvas = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" {text}>'
    file.write_text("\n".join([canvas, back, title, *marks, "</svg>\n"]))
    return file


@task(tags=["publish"])
def totals(months: pl.DataFrame, counts: dict[str, int]) -> dict[str, int | str]:
    """What a reader wants to know first."""
    worst = months.sort("strikes", descending=True).row(0, named=True)
    found: dict[str, int | str] = {
        "reports": counts["kept"],
        "duplicates": counts["duplicates dropped"],
        "damaging": int(months["damaging"].sum()),
        "cost": int(months["cost"].sum()),
        "months": months.height,
        "worst month": f"{worst['month']:%Y-%m}",
        "strikes in it": worst["strikes"],
    }
    for what, value in found.items():
        print(f"{what:>22} {value if isinstance(value, str) else format(value, ',')}")
    return found


@flow(tags=["example"])
def birdstrikes(source: Path = HERE / "data" / "birdstrikes.csv", folder: Path = HERE / "output") -> dict[str, int | str]:
    """Read, clean, count per month of every year at once, and publish."""
    filed = ingest(source)
    strikes = clean(filed)
    months = join_years(by_month.partial(strikes=strikes).map(year=years_of(strikes)))
    publish_table(months, folder)
    publish_figure(months, folder)
    return totals(months, account(filed, strikes))

"""Sets of partitions, links and selections at the sizes that hurt others, beside Python's built-in set of keys on the same operation.

Figures are the best of several rounds. Usage: python bench/partitions.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from tidemill.graph.partitions import (
    PartitionSet,
    Registry,
    complete,
    daily,
    dynamic,
    from_json,
    hourly,
    link,
    newly_ready,
    parse,
    space_of,
    text,
    to_json,
    todo,
    window,
)
from tidemill.graph.partitions.links.completeness import Completeness
from tidemill.graph.selection import Catalog, Entry, select

NOW = datetime(2026, 7, 1, tzinfo=UTC)
MILLION = 1_000_000
ANY_LIMIT, WORST_LIMIT, SELECT_LIMIT = 0.010, 0.5, 0.020
late: list[str] = []


def best(call, rounds: int) -> float:
    found = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        found = min(found, time.perf_counter() - begun)
    return found


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:8.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:8.1f} ms"


def line(name: str, ours: float, limit: float, builtin: float | None = None) -> None:
    ratio = 0.0 if builtin is None else builtin / ours
    beside = f"   set {shown(builtin)}   {ratio:10,.{0 if ratio > 10 else 2}f} ×" if builtin is not None else ""
    if ours > limit:
        late.append(f"{name}: {shown(ours)} > {shown(limit)}")
    print(f"  {name:34} {shown(ours)}{beside}{'   LATE' if ours > limit else ''}")


def hours(space, lo: int, hi: int, step: int = 0, length: int = 1) -> PartitionSet:
    first = space.clock.lo
    if not step:
        return PartitionSet(space, (first + lo, first + hi))
    return PartitionSet(space, tuple(bound for at in range(lo, hi, step) for bound in (first + at, first + at + length)))


def algebra(title: str, a: PartitionSet, b: PartitionSet, limit: float, rounds: int) -> None:
    print(f"{title}: {len(a):,} and {len(b):,} partitions")
    key = a.space.key(tuple(axis.extent[0] + 5 for axis in a.space.nested))
    left, right = set(a), set(b)
    for name, ours, theirs in (
        ("union", lambda: a | b, lambda: left | right),
        ("intersection", lambda: a & b, lambda: left & right),
        ("difference", lambda: a - b, lambda: left - right),
        ("subset", lambda: a <= b, lambda: left <= right),
        ("contains", lambda: key in a, lambda: key in left),
        ("count", lambda: len(PartitionSet(a.space, a.region)), lambda: len(left)),
        ("first", a.first, lambda: min(left)),
    ):
        line(name, best(ours, rounds), limit, best(theirs, min(rounds, 2)))
    whole = PartitionSet.everything(a.space)
    for name, ours in (
        ("complement", lambda: a.complement(whole)),
        ("slice", lambda: a.between("2026-02", "2026-03")),
        ("first chunk of 1,000, newest first", lambda: next(a.chunks(1000, "newest"))),
        ("text, cut at 8", lambda: text(a, 8)),
    ):
        line(name, best(ours, rounds), limit)
    stored = to_json(a)
    slow = max(limit, 10 * WORST_LIMIT if limit == WORST_LIMIT else limit)  # keys, not numbers: by the run
    line("to JSON", best(lambda: to_json(a), min(rounds, 2)), slow)
    line("from JSON", best(lambda: from_json(a.space, stored), min(rounds, 2)), slow)


def links(rounds: int) -> None:
    print("links: 1,000,000 hours into days; 30,000 days with a window of 7; 2 late")
    fine = space_of(hourly("1980-01-01", tz="Europe/Paris"))
    coarse = space_of(daily("1980-01-01", tz="Europe/Paris"))
    joined = link(fine, coarse, None, NOW)
    line("make a link", best(lambda: link(fine, coarse, None, NOW), rounds), ANY_LIMIT)
    have = hours(fine, 0, MILLION) - hours(fine, 500_000, 500_002)
    want = PartitionSet.everything(coarse)
    late_hours = hours(fine, 500_000, 500_002)
    line("image", best(lambda: joined.image(have), rounds), ANY_LIMIT)
    line("preimage", best(lambda: joined.preimage(want), rounds), ANY_LIMIT)
    line("complete, all", best(lambda: complete(have, want, joined), rounds), ANY_LIMIT)
    line("complete, 20 of 24", best(lambda: complete(have, want, joined, 20), rounds), ANY_LIMIT)
    line("newly ready by 2 hours", best(lambda: newly_ready(late_hours, have, want, joined), rounds), ANY_LIMIT)
    weekly_link = link(coarse, coarse, window(-6, 0), NOW)
    line("complete, window(-6, 0)", best(lambda: complete(want, want, weekly_link), rounds), ANY_LIMIT)
    found: Completeness = complete(have, want, joined)
    line("todo", best(lambda: todo(want, found.ready, found.ready, found.waiting), rounds), ANY_LIMIT)
    holes = hours(fine, 0, MILLION, 3, 2)
    line("complete, every third hour missing", best(lambda: complete(holes, want, joined), min(rounds, 2)), 3 * WORST_LIMIT)
    line("the same, newly ready by 2 hours", best(lambda: newly_ready(late_hours, holes, want, joined), rounds), ANY_LIMIT)


def selections(rounds: int) -> None:
    print("selections: 10,000 assets, three upstreams each")
    entries = {
        f"g{at // 100}/a{at}": Entry(
            tuple(f"g{up // 100}/a{up}" for up in {at - 1 - at * k % 50 for k in (1, 7, 11)} if up >= 0),
            tags=(f"t{at % 7}",),
            states=("failed",) if at % 97 == 0 else (),
        )
        for at in range(10_000)
    }
    line("index", best(lambda: Catalog(entries), rounds), 0.1)
    catalog = Catalog(entries)
    for asked in ("", "+g99/a9999", "g0/a0+", "@g50/a5000", "tag:t1,+g99/a9999", "state:failed+", "2+g50/a5000+3", "g5/*", "**77"):
        line(repr(asked), best(lambda asked=asked: select(asked, catalog), rounds), SELECT_LIMIT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    by_hour = space_of(hourly("1980-01-01"))
    algebra("one dimension, ranges", hours(by_hour, 0, MILLION), hours(by_hour, 400_000, MILLION), ANY_LIMIT, rounds)
    seven = hours(by_hour, 0, MILLION) - hours(by_hour, 0, MILLION, 10_000)
    algebra("one dimension, 100 holes", seven, hours(by_hour, 5_000, MILLION, 5_000, 4_000), ANY_LIMIT, rounds)
    registry = Registry(tuple(f"c{at}" for at in range(2740)))
    both = space_of(daily("2026-01-01", "2026-12-31") * dynamic("customers"), {"customers": registry})
    algebra("365 days of 2,740 customers", PartitionSet.everything(both), parse(both, "2026-03..2026-09"), ANY_LIMIT, rounds)
    worst = hours(by_hour, 0, MILLION, 2), hours(by_hour, 0, MILLION, 3, 2)
    algebra("worst: every second, two of three", *worst, WORST_LIMIT, min(rounds, 3))
    links(rounds)
    selections(rounds)
    if late:
        sys.exit("over the limit:\n  " + "\n  ".join(late))


if __name__ == "__main__":
    main()

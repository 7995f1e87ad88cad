"""Fingerprints of code and digests of tables, beside what the machine allows.

Each line: our figure, the peer that was measured in the same call, the ratio, and the bar it is held to.
Usage: python bench/fingerprint.py [code tables trace] [--rounds 3]
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tidemill.fingerprint import CodePrints, approx_equal, seen, table_digest

NODES, MODULES = 1000, 20

HELPERS = '''
import dataclasses
RATE = 0.25
LIMITS = {"low": 1, "high": 9}

@dataclasses.dataclass
class Order:
    """One order."""
    id: int
    net: float = 0.0

    def total(self):
        return self.net * (1 + RATE)

def within(value):
    return LIMITS["low"] <= value <= LIMITS["high"]

def clean(rows):
    """Keep what is within the limits."""
    kept = []
    for row in rows:
        if within(row["value"]) and row.get("id") is not None:
            kept.append({**row, "value": row["value"] * RATE})
    return [Order(id=row["id"], net=row["value"]) for row in kept]

def summed(orders):
    totals = {}
    for order in orders:
        totals[order.id] = totals.get(order.id, 0) + order.total()
    return sorted(totals.items(), key=lambda pair: -pair[1])
'''
NODE = '''
def node_{n}(rows, *, limit={n}):
    """Node {n}."""
    cleaned = helpers.clean(rows)
    first = [order for order in cleaned if order.net > limit]
    totals = helpers.summed(first)
    if not totals:
        raise ValueError(f"nothing above {{limit}}")
    # the best come first
    return {{"best": totals[0], "all": len(totals), "mean": sum(value for _, value in totals) / len(totals)}}
'''


def best(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of several rounds."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def line(name: str, ours: str, peer: str, ratio: float, bar: str) -> None:
    print(f"{name:34} {ours:>16}   {peer:42} ×{ratio:<8.2f} {bar}", flush=True)


def project(folder: Path) -> list[Callable[..., object]]:
    package = folder / "yard"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helpers.py").write_text(HELPERS)
    for module in range(MODULES):
        nodes = "".join(NODE.format(n=n) for n in range(module, NODES, MODULES))
        (package / f"part_{module}.py").write_text(f"from yard import helpers\n{nodes}")
    sys.path.insert(0, str(folder))
    modules = [importlib.import_module(f"yard.part_{module}") for module in range(MODULES)]
    return [getattr(modules[n % MODULES], f"node_{n}") for n in range(NODES)]


def prints() -> CodePrints:
    return CodePrints(local=lambda name: name.partition(".")[0] == "yard", versions=lambda _: "1")


def code(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        nodes = project(Path(folder))
        texts = [path.read_text() for path in Path(folder, "yard").glob("*.py")]
        parsing = best(rounds, lambda: [ast.parse(text) for text in texts])
        began = time.perf_counter()
        made = prints()
        for node in nodes:
            made.of(node)
        cold = time.perf_counter() - began
        line(
            "first fingerprint of 1,000 nodes",
            f"{cold / NODES * 1e3:.3f} ms each",
            f"parsing their files {parsing / NODES * 1e3:.3f} ms each",
            cold / parsing,
            "≤ 2 ms",
        )
        one = nodes[0]
        source = [inspect.getsource(one), *(text for text in texts if "RATE" in text)]
        alone = best(rounds, lambda: [ast.parse(text) for text in source])
        again = best(rounds, lambda: prints().of(one))
        line(
            "one node, files read before",
            f"{again * 1e3:.3f} ms",
            f"parsing it and its helpers {alone * 1e3:.3f} ms",
            again / alone,
            "≤ 2 ms",
        )
        known = best(rounds, lambda: [made.of(node) for node in nodes])
        stats = best(rounds, lambda: [Path(folder, "yard", "helpers.py").stat() for _ in range(3 * NODES)])
        line("1,000 unchanged nodes", f"{known * 1e3:.1f} ms", f"asking 3,000 files' times {stats * 1e3:.1f} ms", known / stats, "≤ 50 ms")


def tables(rounds: int) -> None:
    import numpy as np
    import pyarrow as pa

    rows, chance = 2_000_000, np.random.default_rng(1)
    numbers = {f"f{n}": chance.normal(size=rows) for n in range(8)} | {f"i{n}": chance.integers(0, 2**40, rows) for n in range(8)}
    table = pa.table(numbers)
    bytes_ = table.nbytes
    columns = [column.to_numpy() for column in table.columns]
    words = [np.ascontiguousarray(column).view(np.uint64) for column in columns]
    summing = best(rounds, lambda: [column.sum() for column in words])
    copying = best(rounds, lambda: [column.copy() for column in columns])
    mixing = best(rounds, lambda: [(column * np.uint64(0x9E3779B97F4A7C15)).sum() for column in words])
    ours = best(rounds, lambda: table_digest(table))
    for name, peer in (("summing them", summing), ("copying them", copying), ("multiply and sum", mixing)):
        line("a table of numbers", f"{bytes_ / ours / 1e9:.2f} GB/s", f"{name} {bytes_ / peer / 1e9:.2f} GB/s", ours / peer, "≥ 0.5 GB/s")
    texts = pa.table({"name": [f"customer {n % 9973}" for n in range(rows)], "id": [str(n) for n in range(rows)]})
    hashing = best(rounds, lambda: [column.dictionary_encode() for column in texts.columns])
    ours = best(rounds, lambda: table_digest(texts))
    line(
        "a table of short texts",
        f"{texts.nbytes / ours / 1e9:.2f} GB/s",
        f"Arrow's dictionary {texts.nbytes / hashing / 1e9:.2f} GB/s",
        ours / hashing,
        "",
    )
    near = pa.table(numbers | {"f0": numbers["f0"] * (1 + 1e-13)}).take(pa.array(chance.permutation(rows)))
    comparing = best(1, lambda: approx_equal(table, near, 1e-9))
    sorting = best(1, lambda: [np.argsort(words[8], kind="stable") for _ in range(2)])
    line("nearly equal, rows moved", f"{comparing:.2f} s", f"sorting both by one column {sorting:.2f} s", comparing / sorting, "")


def trace(rounds: int) -> None:
    def step(n: int) -> int:
        return n + 1

    def calls() -> None:
        for n in range(1_000_000):
            step(n)

    def watched() -> None:
        with seen():
            calls()

    plain = best(rounds, calls)
    line("a million calls, watched", f"{best(rounds, watched):.3f} s", f"not watched {plain:.3f} s", best(rounds, watched) / plain, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["code", "tables", "trace"])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.what:
        {"code": code, "tables": tables, "trace": trace}[name](asked.rounds)


if __name__ == "__main__":
    main()

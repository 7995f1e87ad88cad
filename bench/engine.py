"""Durable runs of tasks that do nothing, through engine, store and real worker processes, beside what the machine allows.

Each line: our figure, the limit or peer that was measured in the same call, the ratio, and the bar it is held to.
Usage: python bench/engine.py [fan chain inline fresh big build] [--postgres URL] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tidemill.clock import SystemClock
from tidemill.engine.engine import Engine
from tidemill.executors.pool import ProcessExecutor
from tidemill.executors.protocol import Spec
from tidemill.graph.keys import graph_digest
from tidemill.ports import RunRow
from tidemill.store import open_store

FLOWS = Path(__file__).with_name("_flows.py")
WORKERS = 2


def same(x: int) -> int:
    return x


class Bench:
    """One engine with warm workers on a fresh store."""

    def __init__(self, url: str, home: Path, project: Path = FLOWS) -> None:
        self.store = open_store(url)
        spec = Spec(project=str(project), home=str(home), artifacts=str(home / "artifacts"))
        self.executor = ProcessExecutor(spec, slots=WORKERS)
        self.clock = SystemClock()
        self.engine = Engine(self.store, self.executor, self.clock, cpus=WORKERS)

    async def start(self) -> None:
        gc.freeze()  # as the command line does: what is imported lives until the end
        self.executor.spawn()
        await self.engine.start()

    async def run(self, flow: str, **params: object) -> float:
        """Seconds from the run's creation to its durable end; the graph is built before."""
        graph, _ = await self.executor.build(flow, params)
        run = self.clock.token()
        began = time.perf_counter()
        self.store.create_run(RunRow(id=run, key=run, flow=flow, graph=graph_digest(graph), created_at=self.clock.now()), graph)
        await (await self.engine.drive(run))
        seconds = time.perf_counter() - began
        row = self.store.run(run)
        assert row.state == "succeeded", row.because
        return seconds

    async def close(self) -> None:
        await self.engine.close(grace=2)
        self.store.close()


@contextlib.asynccontextmanager
async def bench(url: str | None):
    with tempfile.TemporaryDirectory() as folder:
        one = Bench(url or f"sqlite:///{folder}/store.db", Path(folder))
        await one.start()
        try:
            yield one
        finally:
            await one.close()


def pool_submits(n: int) -> float:
    """Tasks a second of ProcessPoolExecutor(2).submit, not durable."""
    with ProcessPoolExecutor(WORKERS) as pool:
        pool.submit(same, 0).result()
        began = time.perf_counter()
        for future in [pool.submit(same, at) for at in range(n)]:
            future.result()
        return n / (time.perf_counter() - began)


def pool_chain(n: int) -> float:
    """Seconds a step of ProcessPoolExecutor(2), one submit after the other."""
    with ProcessPoolExecutor(WORKERS) as pool:
        pool.submit(same, 0).result()
        began = time.perf_counter()
        for at in range(n):
            pool.submit(same, at).result()
        return (time.perf_counter() - began) / n


def fork_and_wait(n: int) -> float:
    """Seconds of a bare fork, exit and wait of this process."""
    began = time.perf_counter()
    for _ in range(n):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return (time.perf_counter() - began) / n


async def best(url: str | None, rounds: int, flow: str, n: int) -> float:
    """Seconds of the best of `rounds` runs, after one that warms up."""
    async with bench(url) as one:
        await one.run(flow, n=min(n, 100))
        return min([await one.run(flow, n=n) for _ in range(rounds)])


def line(what: str, ours: str, beside: str, ratio: float, bar: str) -> None:
    print(f"{what:<46} {ours:>16}   {beside:<44} ratio {ratio:6.2f}   bar {bar}", flush=True)


def fan(url: str | None, rounds: int) -> None:
    n = 10_000
    rate = n / asyncio.run(best(url, rounds, "fan", n))
    limit = max(pool_submits(n) for _ in range(rounds))
    bar = ">= 10,000/s and ratio >= 1.0" if url is None else ">= 3,000/s"
    line("10,000 mapped no-ops, durable", f"{rate:,.0f} /s", f"ProcessPoolExecutor(2).submit {limit:,.0f} /s", rate / limit, bar)


def chain(url: str | None, rounds: int) -> None:
    n = 1000
    step = asyncio.run(best(url, rounds, "chain", n)) / n
    limit = min(pool_chain(n) for _ in range(rounds))
    bar = "<= 1 ms" if url is None else "<= 3 ms"
    line("chain of 1,000, warm processes, per step", f"{step * 1e3:.3f} ms", f"ProcessPoolExecutor {limit * 1e3:.3f} ms", step / limit, bar)


def inline(url: str | None, rounds: int) -> None:
    n = 1000
    step = asyncio.run(best(url, rounds, "chain_inline", n)) / n
    limit = min(pool_chain(n) for _ in range(rounds))
    beside = f"ProcessPoolExecutor {limit * 1e3:.3f} ms"
    line("chain of 1,000, inline, per step", f"{step * 1e3:.3f} ms", beside, step / limit, "<= 0.3 ms")


def fresh(url: str | None, rounds: int) -> None:
    n = 100
    each = asyncio.run(best(url, rounds, "chain_fresh", n)) / n
    limit = min(fork_and_wait(n) for _ in range(rounds))
    line(
        "a fresh process per task, in a chain, each",
        f"{each * 1e3:.2f} ms",
        f"bare fork + wait {limit * 1e3:.2f} ms",
        each / limit,
        "<= 10 ms",
    )


def big(url: str | None, rounds: int) -> None:
    small = 10_000 / asyncio.run(best(url, rounds, "fan", 10_000))
    large = 100_000 / asyncio.run(best(url, 1, "fan", 100_000))
    line("100,000 mapped no-ops in one run", f"{large:,.0f} /s", f"the same with 10,000: {small:,.0f} /s", large / small, "ratio >= 0.8")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line("control process, peak memory", f"{peak:.0f} MB", "", peak / 400, "<= 400 MB")


def build(url: str | None, rounds: int) -> None:
    async def seconds() -> float:
        async with bench(url) as one:
            await one.executor.build("wide", {"n": 10})
            times = []
            for _ in range(rounds):
                began = time.perf_counter()
                await one.executor.build("wide", {"n": 10_000})
                times.append(time.perf_counter() - began)
            return min(times)

    ours = asyncio.run(seconds())
    began = time.perf_counter()
    for at in range(10_000):
        same(at)
    limit = time.perf_counter() - began
    line("building a flow of 10,000 nodes, handed over", f"{ours:.2f} s", f"10,000 plain calls {limit:.4f} s", ours / limit, "<= 1 s")


WHAT = {"fan": fan, "chain": chain, "inline": inline, "fresh": fresh, "big": big, "build": build}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*WHAT, []], help="what to measure; all without a name")
    parser.add_argument("--postgres", help="a database to use instead of a SQLite file")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for name in given.what or WHAT:
        WHAT[name](given.postgres, given.rounds)


if __name__ == "__main__":
    sys.exit(main())

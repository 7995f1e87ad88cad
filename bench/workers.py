"""Workers without engine and store, beside `ProcessPoolExecutor(2)` on the same function in the same run.

python bench/workers.py [COUNT]
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tidemill.artifacts.location import open_location
from tidemill.artifacts.store import Artifacts
from tidemill.executors.pool import ProcessExecutor
from tidemill.executors.protocol import Spec
from tidemill.graph.nodes import TaskRef
from tidemill.graph.policy import Policy
from tidemill.graph.values import At
from tidemill.graph.work import Done, Job, Report, Room, Start

PROJECT = """
from tidemill import task, flow

@task
def no_op(x: int) -> int:
    return x

@task
def total(xs: list[int]) -> int:
    return sum(xs)

@flow
def small():
    return total([no_op(1), no_op(2)])
"""


def no_op(x: int) -> int:
    return x


class Bench:
    """One executor, driven as the engine drives it: by room, from reports."""

    def __init__(self, pool: ProcessExecutor) -> None:
        self.pool = pool
        self.done = 0
        self.failed = 0
        self.on_done = lambda _: None

    def report(self, report: Report) -> None:
        if isinstance(report, Done):
            self.done += len(report.outcomes)
            for outcome in report.outcomes:
                if outcome.failure is not None:
                    self.failed += 1
                    print(outcome.failure)
            self.on_done(len(report.outcomes))
        elif isinstance(report, Room):
            self.on_done(0)

    async def mapped(self, job: Job, count: int) -> float:
        """Seconds for `count` starts."""
        ended = asyncio.get_running_loop().create_future()
        sent, self.done = 0, 0

        def more(_: int) -> None:
            nonlocal sent
            room = min(self.pool.room(job.policy, job.task.name), count - sent)
            if room > 0:
                first, sent = sent, sent + room
                self.pool.launch(job, [Start(n, 1) for n in range(first, sent)])
            if self.done >= count and not ended.done():
                ended.set_result(None)

        self.on_done = more
        began = time.perf_counter()
        more(0)
        await ended
        return time.perf_counter() - began

    async def one(self, job: Job, n: int) -> float:
        ended = asyncio.get_running_loop().create_future()
        self.on_done = lambda count: count and not ended.done() and ended.set_result(None)
        began = time.perf_counter()
        self.pool.launch(job, [Start(n, 1)])
        await ended
        return time.perf_counter() - began


async def ours(folder: Path, count: int, theirs: float) -> None:
    project = folder / "pipeline.py"
    project.write_text(PROJECT)
    artifacts = Artifacts(open_location(str(folder / "values"), cache=folder / "cache", clock=None))
    over = {"x": At(artifacts.keep(list(range(count))))}
    ref = TaskRef("pipeline", "no_op")
    cold = time.perf_counter()
    pool = ProcessExecutor(Spec(project=str(project), home=str(folder / "home"), artifacts=str(folder / "values")), slots=2)
    pool.spawn()
    bench = Bench(pool)
    await pool.start(bench.report)
    await pool.build("small", {})
    print(f"cold: spawn, import, build a graph of 3 tasks   {time.perf_counter() - cold:8.3f} s   (bar 0.25)")

    def job(name: str, policy: Policy) -> Job:
        return Job(id=f"r/{name}", run="r", flow="f", place=name, task=ref, over=over, policy=policy, mapped=True)

    await bench.mapped(job("warm-up", Policy()), 500)
    best = min([await bench.mapped(job(f"map{i}", Policy()), count) for i in range(3)])
    speed = f"{count / best:8.0f} /s  = {theirs / best:.2f} x ProcessPoolExecutor(2)"
    print(f"{count} mapped no-ops, 2 warm processes          {speed} (bar 20,000/s)")
    for name, policy in (("chained, warm", Policy()), ("chained, inline", Policy(executor="inline"))):
        chained = job(name, policy)
        await bench.one(chained, 0)
        times = [await bench.one(chained, n) for n in range(1, 1000)]
        print(f"{name:30} p50 {statistics.median(times) * 1e3:.3f} ms  p99 {sorted(times)[-10] * 1e3:.3f} ms   (bar 0.35 / 0.30)")
    fresh = job("fresh", Policy(isolation="fresh"))
    await bench.one(fresh, 0)
    times = [await bench.one(fresh, n) for n in range(1, 60)]
    print(f"fresh process per task         p50 {statistics.median(times) * 1e3:.2f} ms   (bar 10)")
    began = time.perf_counter()
    await pool.close(grace=1)
    print(f"close {time.perf_counter() - began:.3f} s; failed: {bench.failed}")


def theirs(count: int) -> float:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(no_op, range(100)))
        best = 1e9
        for _ in range(2):
            began = time.perf_counter()
            futures = [pool.submit(no_op, n) for n in range(count)]
            for future in futures:
                future.result()
            best = min(best, time.perf_counter() - began)
    print(f"ProcessPoolExecutor(2).submit                     {count / best:8.0f} /s")
    return best


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = theirs(number)
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(ours(Path(place), number, seconds))

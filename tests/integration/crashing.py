"""One control process that is killed at a write of its choice. Usage: crashing.py HOME WRITES. Not a test; `test_crash_everywhere` runs it.

WRITES: n is before write n + 1, n.5 is after it, before the engine hears of it; "never" runs to the end. The same HOME again takes the
run up where it was left.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tidemill.clock import SystemClock
from tidemill.engine.engine import Engine
from tidemill.executors.pool import ProcessExecutor
from tidemill.executors.protocol import Spec
from tidemill.graph.keys import graph_digest
from tidemill.ports import RunRow
from tidemill.store import open_store

FLOW = """
import os
from tidemill import flow, task
@task
def numbers(): return [1, 2, 3]
@task(retries=2)
def double(n): return 2 * n
@task(at_most_once=True)
def pay():
    with open(os.environ["PAID"], "a") as file: file.write("paid\\n")
    return 7
@task
def total(xs, seven): return sum(xs) + seven
@flow
def small(): return total(double.map(numbers()), pay())
"""


class CrashingStore:
    """A store at whose write number `at` this process is killed, with all that it started."""

    def __init__(self, store: Any, at: float) -> None:
        self._store = store
        self._at = at
        self._writes = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if name in ("commit", "claim", "create_run") else found

    def _counted(self, write: Any) -> Any:
        def written(*args: Any, **given: Any) -> Any:
            if self._at == self._writes:
                os.kill(os.getpid(), signal.SIGKILL)
            done = write(*args, **given)
            self._writes += 1
            if self._at < self._writes:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return written


async def main(home: Path, at: float) -> None:
    file = home / "flows.py"
    file.write_text(FLOW)
    store: Any = CrashingStore(open_store(f"sqlite:///{home}/store.db"), at)
    executor = ProcessExecutor(Spec(project=str(file), home=str(home), artifacts=str(home / "artifacts")), slots=1)
    executor.spawn()
    clock = SystemClock()
    engine = Engine(store, executor, clock, cpus=2)
    await engine.start()
    graph, _ = await executor.build("small", {})
    store.create_run(RunRow(id="r1", key="once", flow="small", graph=graph_digest(graph), created_at=clock.now()), graph)
    if store.run("r1").ended_at is None:
        await (await engine.drive("r1", seize=True))
    await engine.close(grace=2)
    store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float("inf" if sys.argv[2] == "never" else sys.argv[2])))

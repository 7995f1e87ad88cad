"""A project of tasks that do every bad thing, and an executor over it, driven from a plain test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidemill.artifacts.location import open_location
from tidemill.artifacts.store import Artifacts
from tidemill.executors.logs import LogLine, read
from tidemill.executors.places import AttemptId
from tidemill.executors.pool import ProcessExecutor
from tidemill.executors.protocol import Spec
from tidemill.graph.nodes import TaskRef
from tidemill.graph.policy import Policy
from tidemill.graph.values import At, Constant
from tidemill.graph.work import Done, Job, Outcome, Report, Start

PROJECT = Path(__file__).parent / "project"
PATIENCE = 20.0


def living(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def gone(pid: int) -> bool:
    """Whether a process is dead, now or in a moment."""
    until = time.monotonic() + PATIENCE
    while living(pid) and time.monotonic() < until:
        os.sched_yield()
    return not living(pid)


class Driver:
    """An executor and what it reported, on a loop of its own. Waits are on reports and files, never on time alone."""

    def __init__(self, tmp_path: Path, project: Path, *, slots: int = 2, load_timeout: float = 30.0, **spec: object) -> None:
        self.home = tmp_path / "home"
        self.scratch = tmp_path
        values = tmp_path / "values"
        self.artifacts = Artifacts(open_location(values, cache=tmp_path / "cache", clock=lambda: datetime.now(UTC)))
        self.loop = asyncio.new_event_loop()
        self.reports: list[Report] = []
        given = {"grace": 1.0, **spec}
        self.pool = ProcessExecutor(
            Spec(project=str(project), home=str(self.home), artifacts=str(values), **given),  # type: ignore[arg-type]
            slots=slots,
            load_timeout=load_timeout,
        )
        self.heard = asyncio.Event()
        self.number = 0
        self.pids: set[int] = set()

    living = staticmethod(living)
    gone = staticmethod(gone)

    def hear(self, report: Report) -> None:
        self.reports.append(report)
        self.pids |= set(self.pool._supervision.current.pids.values()) if self.pool._supervision.current else set()
        self.heard.set()

    def start(self) -> Driver:
        self.pool.spawn()
        self.loop.run_until_complete(self.pool.start(self.hear))
        return self

    def run(self, awaitable: object) -> object:
        return self.loop.run_until_complete(asyncio.wait_for(awaitable, PATIENCE))  # type: ignore[arg-type]

    def until(self, condition: Callable[[], object]) -> object:
        """Let the loop run until the condition holds."""

        async def wait() -> object:
            while not (found := condition()):
                self.heard.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.heard.wait(), 0.02)
            return found

        return self.run(wait())

    def job(
        self,
        name: str,
        *,
        mapped: int = 0,
        driver: bool = False,
        resources: tuple[str, ...] = (),
        policy: Policy | None = None,
        **args: object,
    ) -> Job:
        self.number += 1
        module, _, function = name.rpartition(":")
        over = {"x": At(self.artifacts.keep(list(range(mapped))))} if mapped else {}
        return Job(
            id=f"run/{function}-{self.number}", run="run", flow="f", place=f"{function}-{self.number}",
            task=TaskRef(module or "faults", function),
            args={key: Constant(self.artifacts.keep(value)) for key, value in args.items()}, over=over, mapped=bool(mapped),
            policy=policy or Policy(), driver=driver, resources=resources,
        )  # fmt: skip

    def outcomes(self, job: Job) -> list[Outcome]:
        return [outcome for report in self.reports if isinstance(report, Done) and report.job == job.id for outcome in report.outcomes]

    def launch(self, job: Job, *numbers: int, attempt: int = 1) -> None:
        async def go() -> None:
            self.pool.launch(job, [Start(n, attempt) for n in (numbers or (0,))])

        self.run(go())

    def stop(self, job: Job, n: int = 0, attempt: int = 1, cause: str = "cancelled") -> None:
        async def go() -> None:
            self.pool.stop(job.id, n, attempt, cause=cause)  # type: ignore[arg-type]

        self.run(go())

    def ended(self, job: Job, count: int = 1) -> list[Outcome]:
        self.until(lambda: len(self.outcomes(job)) >= count)
        return self.outcomes(job)

    def result(self, name: str, **args: object) -> Outcome:
        """Run one task to its end."""
        job = self.job(name, **args)  # type: ignore[arg-type]
        self.launch(job)
        return self.ended(job)[0]

    def value(self, outcome: Outcome) -> object:
        assert outcome.failure is None, outcome.failure
        assert outcome.handle is not None
        return self.artifacts.load(outcome.handle)

    def file(self, name: str) -> str:
        """The content of a file that a task writes, once it is there."""
        path = self.scratch / name
        return str(self.until(lambda: path.exists() and path.read_text()))

    def log(self, job: Job, wanted: Callable[[list[LogLine]], object] = bool, n: int = 0) -> list[LogLine]:
        """The log of an attempt, once it is as wanted."""
        whose = AttemptId("run", job.place, n, 1)
        self.until(lambda: wanted(list(read(self.home, whose))))
        return list(read(self.home, whose))

    def close(self) -> None:
        self.run(self.pool.close(grace=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    made = Driver(tmp_path, PROJECT / "faults.py").start()
    yield made
    made.close()


@pytest.fixture
def make_driver(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    made: list[Driver] = []

    def make(project: Path | None = None, **options: object) -> Driver:
        made.append(Driver(tmp_path, project or PROJECT / "faults.py", **options).start())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()

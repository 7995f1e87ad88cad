"""Jobs as the executor knows them: a number each, and which attempts are somewhere. Knows no process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tidemill.executors import depth
from tidemill.graph.policy import Policy
from tidemill.graph.work import Job

if TYPE_CHECKING:
    from tidemill.executors.links.worker import WorkerLink

Lane = Literal["warm", "fresh", "inline", "threads", "loop"]


class JobState:
    """One job. `active` are its attempts that were launched and have not ended: (n, attempt) → where, None in the backlog."""

    __slots__ = ("active", "alone", "index", "job", "lane", "task")

    def __init__(self, index: int, job: Job) -> None:
        self.index = index
        self.job = job
        self.task = job.task.name
        self.alone = depth.alone(job.policy)
        self.lane = lane_of(job.policy, driver=job.driver)
        self.active: dict[tuple[int, int], WorkerLink | None] = {}


class Jobs:
    """All jobs whose runs have not ended."""

    def __init__(self) -> None:
        self._by_id: dict[str, JobState] = {}
        self._by_index: dict[int, JobState] = {}
        self._by_run: dict[str, list[JobState]] = {}
        self._next = 0

    def of(self, job: Job) -> JobState:
        """The state of that job, made when it is new."""
        state = self._by_id.get(job.id)
        if state is None:
            self._next += 1
            state = self._by_id[job.id] = self._by_index[self._next] = JobState(self._next, job)
            self._by_run.setdefault(job.run, []).append(state)
        return state

    def get(self, id: str) -> JobState | None:
        return self._by_id.get(id)

    def at(self, index: int) -> JobState | None:
        return self._by_index.get(index)

    def forget(self, run: str) -> list[JobState]:
        """Drop the jobs of a run and return them."""
        gone = self._by_run.pop(run, [])
        for state in gone:
            del self._by_id[state.job.id], self._by_index[state.index]
        return gone


def lane_of(policy: Policy, *, driver: bool = False) -> Lane:
    """Where attempts under that policy run."""
    if driver:
        return "threads"
    match policy.executor:
        case "async":
            return "loop"
        case "thread":
            return "threads"
        case "inline":
            return "inline"
        case _:
            return "fresh" if policy.isolation == "fresh" or policy.memory is not None else "warm"

"""One run as its caller gets it back: what became of it, its tasks, and what its flow returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tidemill.errors import Problem
from tidemill.graph.work import Failure
from tidemill.machine.states import RUN_ENDS, RunState
from tidemill.ports import Artifacts, Page, RunRow, Store, TaskFilter, TaskRow
from tidemill.project.values import evaluate
from tidemill.store.pages import page_key

__all__ = ["RunFailed", "RunResult", "task_rows"]

_PAGE = 1000


class RunFailed(Problem):
    """The value of a run that did not succeed was asked for."""

    code = "run-failed"

    def __init__(self, run: RunRow) -> None:
        super().__init__(
            f"Run {run.id} of {run.flow} is {run.state}, so it has no value.",
            why=run.because,
            mend=f"See why: tidemill explain {run.id}" if run.state in RUN_ENDS else f"Watch it: tidemill show {run.id}",
        )


class RunResult:
    """A run that ended. Reads its project's store when it is asked for more than the run itself."""

    def __init__(self, row: RunRow, *, artifacts: Callable[[], Artifacts], store: Callable[[], Store]) -> None:
        self.row = row
        self._artifacts = artifacts
        self._store = store

    @property
    def id(self) -> str:
        """The run's id, for `tidemill show`."""
        return self.row.id

    @property
    def flow(self) -> str:
        return self.row.flow

    @property
    def state(self) -> RunState:
        """`"succeeded"`, `"failed"` or `"cancelled"`."""
        return self.row.state

    @property
    def succeeded(self) -> bool:
        return self.row.state is RunState.SUCCEEDED

    @property
    def because(self) -> str:
        """Why it ended as it did; empty when it succeeded."""
        return self.row.because

    @property
    def failure(self) -> Failure | None:
        """The first failure that mattered."""
        return self.row.failure

    @property
    def seconds(self) -> float:
        """How long it ran."""
        row = self.row
        return (row.ended_at - row.started_at) if row.ended_at is not None and row.started_at is not None else 0.0

    @property
    def tasks(self) -> list[TaskRow]:
        """Its nodes; of mapped ones the items are in `items`."""
        store = self._store()
        try:
            return list(task_rows(store, self.id))
        finally:
            store.close()

    def items(self, place: str) -> list[TaskRow]:
        """The items of a mapped node."""
        store = self._store()
        try:
            return list(task_rows(store, self.id, TaskFilter(place=place)))
        finally:
            store.close()

    def value(self) -> Any:
        """What the flow returned, verified. Raises `RunFailed` unless the run succeeded."""
        if not self.succeeded:
            raise RunFailed(self.row)
        return evaluate(self._artifacts(), self.row.output)

    def __repr__(self) -> str:
        return f"RunResult({self.id}, {self.flow}, {self.state})"


def task_rows(store: Store, run: str, which: TaskFilter | None = None, *, most: int | None = None) -> Iterator[TaskRow]:
    """All tasks of a run that `which` means, page by page."""
    which, after, count = which or TaskFilter(), None, 0
    while True:
        rows = store.tasks(run, which, Page(limit=_PAGE, after=after))
        for row in rows:
            if most is not None and count >= most:
                return
            count += 1
            yield row
        if len(rows) < _PAGE:
            return
        after = page_key(rows[-1])

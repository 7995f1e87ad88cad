"""Group commit: what the engine decided goes to the store in one thread, as much as has come together in one transaction.

Nothing that was added is given up: while the store cannot be written, the thread tries again and says so.
It does not know what the rows mean.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tidemill.errors import Problem
from tidemill.ports import Commit, Store, TaskRow

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.05, 5.0  # seconds between tries while the store is away


class _Entry(msgspec.Struct):
    commit: Commit
    durable: bool
    then: Callable[[], None] | None


class _Call(msgspec.Struct):
    do: Callable[[], Any]
    done: Callable[[Any, BaseException | None], None]


class Journal:
    """The engine's only way to the store. `trouble(problem)` is called when writing fails, `trouble(None)` when it works again.

    `fenced(run)` is called for a run whose epoch is no longer ours, `broken(error)` when the store fails in a way that no
    waiting mends, `written()` after each commit. All callbacks run on the event loop.
    """

    def __init__(
        self,
        store: Store,
        *,
        trouble: Callable[[Problem | None], None],
        fenced: Callable[[str], None],
        broken: Callable[[BaseException], None],
        written: Callable[[], None],
    ) -> None:
        self._store = store
        self._trouble = trouble
        self._fenced = fenced
        self._broken = broken
        self._told_written = written
        self._queue: deque[_Entry | _Call] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._give_up = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.backlog = 0  # rows that wait to be written

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="tidemill-journal", daemon=True)
        self._thread.start()

    def add(self, commit: Commit, *, durable: bool = False, then: Callable[[], None] | None = None) -> None:
        """Write `commit` after all that was added before; then call `then` on the loop."""
        self.backlog += len(commit.tasks) + len(commit.events)
        self._put(_Entry(commit, durable, then))

    async def call(self, do: Callable[[], T]) -> T:
        """Ask the store something, after all that was added before."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def done(value: T, error: BaseException | None) -> None:
            if not answer.done():
                if error is not None:
                    answer.set_exception(error)
                else:
                    answer.set_result(value)

        self._put(_Call(do, done))
        return await answer

    async def close(self, *, patience: float) -> None:
        """Write what is left, for at most `patience` seconds."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        thread = self._thread
        if thread is None:
            return
        await asyncio.get_running_loop().run_in_executor(None, thread.join, patience)
        self._give_up.set()

    # ---------------------------------------------------------------- in the thread

    def _put(self, item: _Entry | _Call) -> None:
        with self._wake:
            self._queue.append(item)
            self._wake.notify()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                if not self._queue:
                    return
                batch: list[_Entry] = []
                while self._queue and isinstance(self._queue[0], _Entry):
                    batch.append(self._queue.popleft())  # type: ignore[arg-type]
                call = self._queue.popleft() if self._queue and not batch else None
            if batch and not self._write(batch):
                return
            if isinstance(call, _Call):
                self._ask(call)

    def _ask(self, call: _Call) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = call.do()
        except Exception as problem:  # noqa: BLE001 - carried to whoever asked
            error = problem
        self._tell(call.done, value, error)

    def _write(self, batch: list[_Entry]) -> bool:
        """Whether to go on."""
        commits = merged([entry.commit for entry in batch])
        durable = any(entry.durable for entry in batch)
        wait = FIRST_WAIT
        while True:
            try:
                fenced = self._store.commit(commits, durable=durable)
                break
            except Problem as problem:
                self._tell(self._trouble, problem)
            except Exception as error:  # noqa: BLE001 - the loop has to hear of a fault of the store's
                self._tell(self._broken, error)
                return False
            if self._give_up.wait(wait):
                return False
            wait = min(wait * 2, LONGEST_WAIT)
        if wait > FIRST_WAIT:
            self._tell(self._trouble, None)
        self._tell(self._written, batch, fenced)
        return True

    def _written(self, batch: list[_Entry], fenced: list[str]) -> None:
        for entry in batch:
            self.backlog -= len(entry.commit.tasks) + len(entry.commit.events)
            if entry.then is not None and entry.commit.run not in fenced:
                entry.then()
        for run in fenced:
            self._fenced(run)
        self._told_written()

    def _tell(self, what: Callable[..., None], *args: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)


def merged(commits: list[Commit]) -> list[Commit]:
    """One commit a run, in order; of each task only its last row."""
    if len(commits) == 1:
        return commits
    found: dict[str, Commit] = {}
    rows: dict[str, dict[tuple[str, int], TaskRow]] = {}
    for commit in commits:
        into = found.get(commit.run)
        if into is None:
            into = found[commit.run] = Commit(run=commit.run, epoch=commit.epoch)
            rows[commit.run] = {}
        into.events += commit.events
        into.attempts += commit.attempts
        into.notes += commit.notes
        into.memos += commit.memos
        latest = rows[commit.run]
        for row in commit.tasks:
            latest[row.place, row.unit] = row
        if commit.change is not None:
            into.change = _later(into.change, commit.change)
    for run, into in found.items():
        into.tasks = list(rows[run].values())
    return list(found.values())


def _later(before: Any, change: Any) -> Any:
    if before is None:
        return change
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not msgspec.UNSET}
    return msgspec.structs.replace(before, **given)

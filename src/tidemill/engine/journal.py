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

from tidemill.errors import Corrupt, Problem
from tidemill.ports import Commit, Store, TaskRow

T = TypeVar("T")

MAX_BACKLOG = 50_000  # rows that may wait to be written before nothing new is launched
BUSY = "the store is busy writing"
GATHER = 0.002  # seconds in which what nobody waits for may come together
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

    What is done is done by `turn`, one thing at a time; `start` has a thread take the turns.
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
        self._batch: list[_Entry] = []  # what is being written
        self._pause = 0.0  # until the next try, while the store is away
        self._over: BaseException | None = None  # why nothing is done any more
        self._wake = threading.Condition()
        self._closing = False
        self._urgent = False  # somebody waits for what is in the queue
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
            if self._over is None:
                self._queue.append(item)
                urgent = isinstance(item, _Call) or item.durable
                if urgent or len(self._queue) == 1:  # else the thread is gathering, and is let be
                    self._urgent |= urgent
                    self._wake.notify()
                return
        if isinstance(item, _Call):  # nobody would answer it
            item.done(None, self._over)

    def _work(self) -> None:
        while self._over is None:
            with self._wake:
                while not self._queue and not self._batch and not self._closing:
                    self._wake.wait()
                if not self._urgent and not self._batch and not self._closing:
                    self._wake.wait_for(lambda: self._urgent or self._closing, timeout=GATHER)
                self._urgent = False
            pause = self.turn()
            if pause is None or (pause and self._give_up.wait(pause)):
                break
        self._end(self._over or Problem("The engine is closed.", why="It writes nothing any more.", mend="Start another engine."))

    def turn(self) -> float | None:
        """Do the next thing. Returns the seconds to wait before the next turn, or None when nothing is left to do."""
        call: _Entry | _Call | None = None
        with self._wake:
            while self._queue and isinstance(self._queue[0], _Entry) and not self._pause:
                self._batch.append(self._queue.popleft())  # type: ignore[arg-type]
            if not self._batch:
                if not self._queue:
                    return None
                call = self._queue.popleft()
        if isinstance(call, _Call):
            self._ask(call)
            return 0.0
        return self._write(self._batch)

    def _end(self, why: BaseException) -> None:
        with self._wake:
            self._over = why
            left = [item for item in self._queue if isinstance(item, _Call)]
            self._queue.clear()
        for call in left:
            self._tell(call.done, None, why)

    def _ask(self, call: _Call) -> None:
        value: Any = None
        error: BaseException | None = None
        try:
            value = call.do()
        except Exception as problem:  # noqa: BLE001 - carried to whoever asked
            error = problem
        self._tell(call.done, value, error)

    def _write(self, batch: list[_Entry]) -> float | None:
        try:
            fenced = self._store.commit(merged([entry.commit for entry in batch]), durable=any(entry.durable for entry in batch))
        except Corrupt as problem:  # no waiting mends that
            self._tell(self._broken, problem)
            self._end(problem)
            return None
        except Problem as problem:
            self._tell(self._trouble, problem)
            self._pause = min(self._pause * 2, LONGEST_WAIT) or FIRST_WAIT
            return self._pause
        except Exception as error:  # noqa: BLE001 - the loop has to hear of a fault of the store's
            self._tell(self._broken, error)
            self._end(error)
            return None
        if self._pause:
            self._tell(self._trouble, None)
        self._batch, self._pause = [], 0.0
        self._tell(self._written, batch, fenced)
        return 0.0

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
        into.refs += commit.refs
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

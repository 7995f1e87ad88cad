"""A worker that runs many attempts at once: thread tasks and the drivers of dynamic flows each in a thread, async ones on a loop.

Knows its socket and `attempts`. An attempt that is stopped is told of at once when its code cannot be interrupted.
"""

from __future__ import annotations

import inspect
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tidemill.authoring import context
from tidemill.authoring.calls import caller
from tidemill.authoring.dynamic.failures import error_of
from tidemill.authoring.types.signatures import call_with
from tidemill.executors.far import attempts
from tidemill.executors.far.attempts import Stopped, Toolbox, Work
from tidemill.executors.frames import Wire
from tidemill.executors.output.capture import Capture, who
from tidemill.executors.protocol import Define, Did, Do, Forget, Reply, Stop, Told, ToWorker
from tidemill.graph.assets import CheckResult
from tidemill.graph.nodes import Node
from tidemill.graph.values import INLINE_LIMIT, At, Constant
from tidemill.graph.work import CallMade, Failure, Outcome, Start

Key = tuple[int, int, int]
RunDriver = Callable[..., Any]
"""authoring.dynamic.run_driver, or what has its signature: (flow, values, *, session, keep, key, resources)."""


class Crowd:
    """The attempts of one worker that runs many, and what they have in common."""

    def __init__(self, wire: Wire[ToWorker], tools: Toolbox, capture: Capture, *, run_driver: RunDriver) -> None:
        self._wire = wire
        self._tools = tools
        self._capture = capture
        self._run_driver = run_driver
        self._works: dict[int, Work] = {}
        self._running: dict[Key, float] = {}
        self._sessions: dict[tuple[int, int], DriverSession] = {}  # by job and unit
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Run what comes, each in a thread of its own. Returns when there will be no more."""
        while (message := self._wire.receive()) is not None:
            self.obey(message)

    def obey(self, message: ToWorker) -> None:
        if isinstance(message, Do):
            for start in message.starts:
                self.begin(self._works[message.index], start)
        elif isinstance(message, Define):
            self._works[message.index] = Work(message.index, message.job, self._tools)
            self._capture.announce(message.index, message.job.run, message.job.place)
        elif isinstance(message, Stop):
            self.stop((message.index, message.n, message.attempt), message.cause)
        elif isinstance(message, Reply):
            for (index, _n), session in list(self._sessions.items()):
                if index == message.index:
                    session.answer(message)  # only one of them waits for a node of that key
        elif isinstance(message, Forget):
            for index in message.indexes:
                self._works.pop(index, None)

    def begin(self, work: Work, start: Start) -> None:
        """Start one attempt."""
        key = (work.index, start.n, start.attempt)
        with self._lock:
            self._running[key] = time.time()
        threading.Thread(target=self._in_thread, args=(work, start, key), daemon=True, name=work.job.place).start()

    def stop(self, key: Key, cause: str) -> None:
        """Call an attempt ended: threads cannot be interrupted, so what it still does is its own, and what it says is dropped."""
        with self._lock:
            began = self._running.pop(key, None)
        if began is not None:
            what = "its time was up" if cause == "timeout" else "it was cancelled"
            failure = Failure(cause=cause, message=f"{what}; a thread cannot be interrupted, so it may still be running")  # type: ignore[arg-type]
            self.send(Did(key[0], [Outcome(key[1], key[2], began, time.time(), None, failure)]))

    def ended(self, key: Key, outcome: Outcome) -> None:
        """Tell how an attempt ended, unless it was stopped before."""
        with self._lock:
            current = self._running.pop(key, None) is not None
        if current:
            self.send(Did(key[0], [outcome]))

    def send(self, message: Any) -> None:
        with self._lock:
            self._wire.send(message)

    def _in_thread(self, work: Work, start: Start, key: Key) -> None:
        who.set(key)
        outcome = self._drive(work, start) if work.job.driver else attempts.run(work, start, time.thread_time)
        self._capture.end()
        self.ended(key, outcome)

    def _drive(self, work: Work, start: Start) -> Outcome:
        session = self._sessions[work.index, start.n] = DriverSession(work, self._tools, self.send)
        began = time.time()
        token = context.enter(work.context(start))
        handle = failure = None
        try:
            result = self._run_driver(
                getattr(work.task, "flow", work.task),
                work.arguments(start),
                session=session,
                keep=self._tools.artifacts.keep,
                key=f"{work.job.place}[{start.n}]" if work.job.mapped else work.job.place,
            )
            handle = work.kept(result)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises is its failure, never ours
            failure = work.failure(error, start)
        finally:
            context.leave(token)
            self._sessions.pop((work.index, start.n), None)
        return Outcome(start.n, start.attempt, began, time.time(), handle, failure)


class DriverSession:
    """The calls of one driver that wait for an answer. After a crash the body is run again and makes the same calls."""

    def __init__(self, work: Work, tools: Toolbox, send: Callable[[Any], None]) -> None:
        self._work = work
        self._tools = tools
        self._send = send
        self._waiting: dict[str, tuple[Node, Future[object]]] = {}
        self._lock = threading.Lock()

    def call(self, node: Node) -> object:
        """Run `node` and return its value. Raises the task's error."""
        return self.submit(node).result()

    def submit(self, node: Node) -> Future[object]:
        """The same without waiting."""
        with self._lock:
            known = self._waiting.get(node.key)
            if known is not None:
                return known[1]
            future: Future[object] = Future()
            self._waiting[node.key] = (node, future)
        self._send(Told(CallMade(self._work.job.id, node)))
        return future

    def answer(self, reply: Reply) -> None:
        """Hand an answer to the call that waits for it."""
        with self._lock:
            found = self._waiting.pop(reply.node, None)
        if found is None:
            return
        node, future = found
        if reply.failure is not None:
            future.set_exception(error_of(reply.failure, node.key))
            return
        try:
            future.set_result(None if reply.result is None else self._tools.value(reply.result))
        except Exception as error:  # noqa: BLE001 - a stored value that cannot be read is the call's failure
            future.set_exception(error)


class Ended(Exception):
    """The loop was told to end."""


class Loop(Crowd):
    """Async tasks on one event loop: thousands wait at once."""

    def __init__(self, wire: Wire[ToWorker], tools: Toolbox, capture: Capture, *, run_driver: RunDriver, grace: float) -> None:
        super().__init__(wire, tools, capture, run_driver=run_driver)
        self._grace = grace
        self._tasks: dict[Key, Any] = {}
        self._causes: dict[Key, str] = {}

    def serve(self) -> None:
        """Run what comes on a new event loop. Returns when there will be no more."""
        import asyncio  # lazily: no other worker needs an event loop, and it takes 40 ms to import

        self._asyncio = asyncio
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = self._asyncio.get_running_loop()
        over = loop.create_future()

        def read() -> None:
            messages = self._wire.take()
            if messages is None:
                loop.remove_reader(self._wire.sock)
                if not over.done():
                    over.set_result(None)
                return
            for message in messages:
                self.obey(message)

        def end() -> None:
            if not over.done():
                over.set_exception(Ended())

        loop.add_reader(self._wire.sock, read)
        # On a loop an exception raised by a signal could end in any task: here the signal ends the loop itself.
        loop.add_signal_handler(signal.SIGTERM, end)
        try:
            await over
        except Ended:
            raise Stopped from None

    def begin(self, work: Work, start: Start) -> None:
        key = (work.index, start.n, start.attempt)
        self._running[key] = time.time()
        task = self._tasks[key] = self._asyncio.get_running_loop().create_task(self._run(work, start, key))
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def stop(self, key: Key, cause: str) -> None:
        """Cancel the coroutine; when it does not end within the grace, call it ended."""
        task = self._tasks.get(key)
        if task is not None and key not in self._causes:
            self._causes[key] = cause
            task.cancel()
            self._asyncio.get_running_loop().call_later(self._grace, self._give_up, key)

    def _give_up(self, key: Key) -> None:
        cause = self._causes.pop(key, None)
        if cause is not None and key in self._running:
            self.ended(key, self._stopped_outcome(key, cause, "it goes on although it was cancelled"))

    def _stopped_outcome(self, key: Key, cause: str, message: str = "") -> Outcome:
        began = self._running.get(key, time.time())
        return Outcome(key[1], key[2], began, time.time(), None, Failure(cause=cause, message=message))  # type: ignore[arg-type]

    async def _run(self, work: Work, start: Start, key: Key) -> None:
        who.set(key)
        began = time.time()
        context.enter(work.context(start))  # this coroutine's own context: nothing has to be left
        caller.set(None)
        handle = failure = None
        checks: tuple[CheckResult, ...] = ()
        try:
            if _light(work, start):
                values = work.arguments(start)
            else:
                values = await self._asyncio.to_thread(work.arguments, start)
            result = call_with(work.function, values, work.job.calls_with)
            if inspect.isawaitable(result):
                result = await result
            if result is None or isinstance(result, (bool, int, float)) or (isinstance(result, str) and len(result) < INLINE_LIMIT):
                handle, failure, checks = work.made(result)
            else:
                handle, failure, checks = await self._asyncio.to_thread(work.made, result)
        except (KeyboardInterrupt, SystemExit, self._asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - as in a thread
            cause = self._causes.get(key)
            if cause is not None:
                failure = Failure(cause=cause, message="it was cancelled" if cause == "cancelled" else "its time was up")  # type: ignore[arg-type]
            else:
                failure = work.failure(error, start)
        self._causes.pop(key, None)
        self._capture.end()
        self.ended(key, Outcome(start.n, start.attempt, began, time.time(), handle, failure, checks=checks))


def _light(work: Work, start: Start) -> bool:
    """Whether all arguments are so small that making them does not hold up the loop."""
    exprs = [*work.job.args.values(), *(start.args or {}).values()]
    resources_ready = not work.job.resources
    return resources_ready and not work.job.over and all(isinstance(e, (At, Constant)) and e.handle.data is not None for e in exprs)

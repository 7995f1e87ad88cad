"""One attempt: its arguments made of expressions, the function called, the result kept, the outcome told.

Knows values through `ports.Artifacts` and functions through `authoring`; neither sockets nor queues.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace

from tidemill.authoring import context
from tidemill.authoring.assets.observation import Observation
from tidemill.authoring.calls import caller
from tidemill.authoring.context import TaskContext
from tidemill.authoring.identity import load
from tidemill.authoring.masking import Masker
from tidemill.authoring.types.signatures import call_with
from tidemill.executors.far.failing import failure_of
from tidemill.graph.assets import CheckResult
from tidemill.graph.nodes import TaskRef
from tidemill.graph.values import At, Constant, Expr, Handle, Nothing, Several
from tidemill.graph.work import Cause, Failure, Job, Note, Outcome, Start
from tidemill.ports import Artifacts

_DATA_FRAMES = ("pandas", "polars", "pyarrow", "pathlib")  # types of which `load(want=…)` may make one of another


class Stopped(BaseException):
    """Raised in the main thread of a worker by SIGTERM, so that `finally` blocks and contexts of user code still run."""


class Failed(Exception):
    """An attempt that ended before or after its function: the cause, and the error behind it."""

    def __init__(self, cause: Cause, error: BaseException) -> None:
        super().__init__(cause)
        self.cause: Cause = cause
        self.error = error


class Toolbox:
    """What attempts of one worker share. `resource` starts and returns a resource by name; `tell` sends a note."""

    def __init__(
        self,
        artifacts: Artifacts,
        masker: Masker,
        *,
        resource: Callable[[str], Any],
        tell: Callable[[Note], None],
        limited: bool = False,
    ) -> None:
        self.artifacts = artifacts
        self.masker = masker
        self.resource = resource
        self.tell = tell
        self.limited = limited  # a memory limit holds in this process

    def value(self, expr: Expr, want: type | None = None) -> Any:
        """What `expr` stands for. Raises what `Artifacts.load` raises."""
        if isinstance(expr, At):
            return self.artifacts.load_part(expr.handle, expr.path) if expr.path else self.artifacts.load(expr.handle, want=want)
        if isinstance(expr, Constant):
            return self.artifacts.load(expr.handle, want=want)
        if isinstance(expr, Several):
            inner = [self.value(item) for item in expr.items]
            if expr.kind == "dict":
                return dict(zip(expr.names, inner, strict=True))
            return {"list": list, "tuple": tuple, "set": set}[expr.kind](inner)
        if isinstance(expr, Nothing):
            return None
        raise TypeError(f"an unresolved expression in work: {expr!r:.200}")

    def observed(self, value: Any, want: type | None) -> Any:
        """What readers get of a source: the value itself, as the kind of table that they want."""
        if type(value) is not Observation:
            return value
        inner = value.value
        if want is None or isinstance(inner, want):
            return inner
        return self.artifacts.load(self.artifacts.keep(inner, paths="name"), want=want)

    def function(self, ref: TaskRef) -> Any:
        """The task or flow. Raises what importing or unpickling it raises."""
        code = None if ref.code is None else self.artifacts.load(ref.code)
        return load(ref.module, ref.qualname.partition("#")[0] if code is None else ref.qualname, code)  # type: ignore[arg-type]


class Work:
    """A job in this process: its function found, its arguments ready to be made."""

    def __init__(self, index: int, job: Job, tools: Toolbox) -> None:
        self.index = index
        self.job = job
        self._tools = tools
        self._found: Any = None
        self._broken: Failed | None = None
        self._over = tuple(job.over.items())
        self._wants: dict[str, type] = {}
        self._place = job.place
        # Those of a dynamic flow's calls are caught by its body, as the exceptions that they were.
        self.ships = "/" in job.place

    @property
    def task(self) -> Any:
        """The task or flow itself. Raises `Failed`."""
        if self._found is None:
            if self._broken is not None:
                raise self._broken
            try:
                found = self._tools.function(self.job.task)
                if self.job.asset and hasattr(found, "maker"):
                    found = found.maker(self.job.asset)
                task = getattr(found, "as_task", found)
                self._wants = _wants(task)
                self._found = found
            except Exception as error:  # noqa: BLE001 - importing or unpickling runs user code
                self._broken = Failed("error", error)
                raise self._broken from None
        return self._found

    @property
    def function(self) -> Callable[..., Any]:
        found = self.task
        function: Callable[..., Any] = getattr(found, "function", found)
        return function

    def arguments(self, start: Start) -> dict[str, Any]:
        """By name, with resources. Raises `Failed`."""
        self.task  # noqa: B018 - found first: it says what its parameters want
        tools, job, wants = self._tools, self.job, self._wants
        loads = getattr(self._found, "loads", None)
        values: dict[str, Any] = {}
        try:
            for name, expr in job.args.items():
                if loads is None or name in loads:
                    values[name] = tools.value(expr, wants.get(name))
            for name, at in self._over:
                values[name] = tools.artifacts.load_part(at.handle, (*at.path, ("nth", start.n)))
            if start.args:
                for name, expr in start.args.items():
                    values[name] = tools.value(expr, wants.get(name))
            if Observation in map(type, values.values()) and not getattr(self._found, "looks", False):
                values = {name: tools.observed(value, wants.get(name)) for name, value in values.items()}
        except Exception as error:  # noqa: BLE001 - codecs and unpickling raise what they like
            raise Failed("memory" if tools.limited and isinstance(error, MemoryError) else "input", error) from None
        try:
            for name in job.resources:
                values[name] = tools.resource(name)
        except Exception as error:  # noqa: BLE001 - whatever the resource raises
            raise Failed("error", error) from None
        return values

    def context(self, start: Start) -> TaskContext:
        """What `run` shows to this attempt."""
        job = self.job
        label = self._place
        if job.mapped:
            label = f"{label}[{job.names[start.n] if job.names else start.n}]"
        key = blake2b(f"{job.run}/{job.place}/{start.n}".encode(errors="surrogatepass"), digest_size=16).hexdigest()
        return TaskContext(job.run, label, start.attempt, key, lambda kind, body: self._emit(start, kind, body))

    def _emit(self, start: Start, kind: str, body: Any) -> None:
        mask = self._tools.masker.text
        handle, value = None, None
        if kind == "metric":
            name, value = body
        elif kind == "progress":
            name, value = "progress", body
        elif kind == "link":
            name, value = body[0], mask(body[1])
        else:
            name, handle = body[0], self._tools.artifacts.keep(body[1])
        self._tools.tell(Note(self.job.id, start.n, start.attempt, kind, mask(str(name)), value, handle))  # type: ignore[arg-type]

    # ------------------------------------------------------------ ends

    def made(self, result: Any) -> tuple[Handle | None, Failure | None, tuple[CheckResult, ...]]:
        """The handle of a result; of an asset, unless a check forbids it. Raises `Failed`."""
        handle = self.kept(result)
        if self.job.asset:
            handle = _told_apart_by_data(handle, result)
        checks = getattr(self._found, "checks", ()) if self.job.asset else ()
        if not checks:
            return handle, None, ()
        from tidemill.quality.checks import run_checks  # lazily: only assets have checks
        from tidemill.quality.problems import ChecksFailed

        value = result.value if type(result) is Observation else result
        mask = self._tools.masker.text
        found = tuple(replace(one, message=mask(one.message)) for one in run_checks(value, checks, now=time.time()))
        if all(one.passed or one.severity == "warn" for one in found):
            return handle, None, found
        return None, failure_of(ChecksFailed(self.job.asset, found), "check", mask=mask, ship=self.ships), found

    def kept(self, result: Any) -> Handle:
        """The handle of a result. Raises `Failed`."""
        try:
            return self._tools.artifacts.keep(result, declared=self.job.returns, paths=getattr(self._found, "paths", "content"))
        except MemoryError as error:
            raise Failed("memory" if self._tools.limited else "result", error) from None
        except Exception as error:  # noqa: BLE001 - codecs and __reduce__ raise what they like
            raise Failed("result", error) from None

    def failure(self, error: BaseException, start: Start) -> Failure:
        """What an attempt failed of, with the wait that the task's own backoff function asks for."""
        cause: Cause = "error"
        if isinstance(error, Failed):
            cause, error = error.cause, error.error
        elif isinstance(error, SystemExit):
            cause = "exit"
        elif isinstance(error, MemoryError) and self._tools.limited:
            cause = "memory"
        mask = self._tools.masker.text
        wait: float | None = None
        if self.job.policy.backoff.kind == "callable" and self._found is not None:
            try:
                wait = max(0.0, float(self._found.backoff(start.attempt, error)))
            except Exception as broken:  # noqa: BLE001 - told in place of the wait: it is the user's function
                error.add_note(f"Its backoff function failed as well: {type(broken).__name__}: {broken}")
        return failure_of(error, cause, mask=mask, ship=self.ships, retry_after=wait)


def _told_apart_by_data(handle: Handle, value: Any) -> Handle:
    """Of a table, the handle with the digest of what it holds: the same rows in another order are the same version."""
    if not hasattr(type(value), "__arrow_c_stream__"):
        return handle
    from tidemill.fingerprint.tables.digests import table_digest  # lazily: it imports numpy and pyarrow, which tables bring along

    found = table_digest(value)
    return handle if found is None else replace(handle, content=f"{found.algorithm}:{found.table}")


def run(work: Work, start: Start, clock: Callable[[], float] = time.process_time) -> Outcome:
    """Run one attempt of a plain function to its end, in this thread. `clock` counts processor time. Raises `Stopped` only."""
    began, cpu = time.time(), clock()
    handle = failure = None
    checks: tuple[CheckResult, ...] = ()
    token = context.enter(work.context(start))
    # The context of a builder or driver thread must not answer the task's own calls of other tasks.
    outside = caller.set(None)
    try:
        values = work.arguments(start)
        job = work.job
        found = work.function
        result = found(**values) if job.calls_with == "keywords" else call_with(found, values, "bind")
        if inspect.iscoroutine(result):
            result = _awaited(result)
        handle, failure, checks = work.made(result)
    except Stopped:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is its failure, never ours
        failure = work.failure(error, start)
    finally:
        caller.reset(outside)
        context.leave(token)
    return Outcome(start.n, start.attempt, began, time.time(), handle, failure, clock() - cpu, checks=checks)


def _awaited(coroutine: Any) -> Any:
    import asyncio  # lazily: only for `async def` tasks that ask for a process of their own

    return asyncio.run(coroutine)


def _wants(task: Any) -> dict[str, type]:
    """Parameters whose declared type is one that values can be read as."""
    signature = getattr(task, "signature", None)
    if signature is None or not any(
        any(word in str(parameter.annotation) for word in ("Frame", "Table", "Path", "arrow"))
        for parameter in signature.parameters.values()
    ):
        return {}
    hints = {name: signature.hint(name) for name in signature.names}
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and hint.__module__.partition(".")[0] in _DATA_FRAMES}

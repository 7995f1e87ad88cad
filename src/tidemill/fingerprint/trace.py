"""What project code ran and what files were opened while something was watched: to be held against a fingerprint.

Costs one callback per function, not per call. Python 3.12 and later; on 3.11 it sees files only. Environment variables
that are read are not seen: Python tells nobody.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

from tidemill.fingerprint.modules import spoken
from tidemill.fingerprint.prints import CodePrint

__all__ = ["Trace", "seen"]

_TOOLS = (4, 3, 5)  # ids that no debugger, coverage or profiler claims by convention come first


class Trace:
    """What was seen. `codes` holds the code objects that started, `paths` the files that were opened for reading."""

    def __init__(self, *, watches_code: bool) -> None:
        self.watches_code = watches_code
        self.codes: set[CodeType] = set()
        self.paths: set[str] = set()

    def functions(self, local: Callable[[str], bool]) -> list[str]:
        """The full names of the project's functions that ran: those at the top of modules, methods, and module bodies."""
        modules = _modules_by_file()
        found: set[str] = set()
        for code in self.codes:
            for name in modules.get(code.co_filename, ()):
                if local(name):
                    top = code.co_qualname.partition(".<locals>")[0]
                    found.add(name if top.startswith("<") else f"{name}.{top}")
        return sorted(found)

    def unseen(self, made: CodePrint, *, local: Callable[[str], bool]) -> list[str]:
        """Of the functions that ran, those that no part of the fingerprint covers."""
        covered = set(made.parts) | {part.partition("[")[0] for part in made.parts}
        return [name for name in self.functions(local) if not _covers(covered, name)]

    def files(self, wanted: Callable[[str], bool]) -> list[str]:
        """The absolute paths of the files that were read and are `wanted`; Python's own sources are left out."""
        return sorted(path for path in self.paths if not path.endswith((".py", ".pyc", ".so")) and wanted(path))


@contextmanager
def seen() -> Iterator[Trace]:
    """Watch until the end of the `with`. All threads are watched; watching within watching sees its own part too."""
    trace = _watch.begin()
    try:
        yield trace
    finally:
        _watch.end(trace)


class _Watch:
    """The one watch on the interpreter, which all traces share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: list[Trace] = []
        self._tool: int | None = None
        self._hooked = False

    def begin(self) -> Trace:
        with self._lock:
            self._claim()
            trace = Trace(watches_code=self._tool is not None)
            self._traces = [*self._traces, trace]
            if self._tool is not None:
                _MONITORING.set_events(self._tool, _MONITORING.events.PY_START)
                _MONITORING.restart_events()  # functions that ran before are told of again
        return trace

    def end(self, trace: Trace) -> None:
        with self._lock:
            self._traces = [one for one in self._traces if one is not trace]
            if self._tool is not None and not self._traces:
                _MONITORING.set_events(self._tool, 0)
                _MONITORING.register_callback(self._tool, _MONITORING.events.PY_START, None)
                _MONITORING.free_tool_id(self._tool)
                self._tool = None

    def _claim(self) -> None:
        if not self._hooked:  # such a hook cannot be taken away again: there is one for ever, idle while nobody watches
            self._hooked = True
            sys.addaudithook(self._opened)
        free = [] if _MONITORING is None or self._tool is not None else [one for one in _TOOLS if _MONITORING.get_tool(one) is None]
        if free:
            self._tool = free[0]
            _MONITORING.use_tool_id(free[0], "tidemill")
            _MONITORING.register_callback(free[0], _MONITORING.events.PY_START, self._started)

    def _started(self, code: CodeType, _offset: int) -> Any:
        for trace in self._traces:
            trace.codes.add(code)
        return _MONITORING.DISABLE

    def _opened(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not self._traces:
            return
        path, mode, flags = arguments
        reads = ("r" in mode or "+" in mode) if isinstance(mode, str) else not (flags or 0) & os.O_WRONLY
        if reads and isinstance(path, str | bytes):
            for trace in self._traces:
                trace.paths.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100  links are not to be followed here


_MONITORING: Any = getattr(sys, "monitoring", None)  # Python 3.12
_watch = _Watch()


def _modules_by_file() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            found.setdefault(file, []).append(spoken(vars(module)))
    return found


def _covers(covered: set[str], name: str) -> bool:
    """A name is covered by itself, by the class or module it is in, and a module's body by anything of it."""
    whole = name
    while whole:
        if whole in covered:
            return True
        whole = whole.rpartition(".")[0]
    return any(part.startswith(f"{name}.") for part in covered)

"""The workers of one supervisor as the supervisor sees them: how they are made, watched, ended and reaped.

Knows processes; what a worker does inside is given as a function.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from tidemill.executors.far import kinship
from tidemill.executors.output.logfiles import Attribution
from tidemill.executors.protocol import Exited, Role

_WATCH_EVERY = 0.05  # seconds between looks at what memory-limited workers take
_STRAYS_WAIT = 2.0  # seconds that we wait for killed descendants before a worker is called gone


class Child:
    """One worker process, from its fork to its report."""

    def __init__(self, worker: int, pid: int, role: Role, limit: int | None, out: int, log: Attribution) -> None:
        self.worker = worker
        self.pid = pid
        self.role = role
        self.limit = limit
        self.baseline = kinship.own_memory(pid) if limit else 0
        self.out = out  # the reading end of its output
        self.log = log
        self.kills_before = kinship.kernel_kills()
        self.why = ""
        self.detail = ""
        self.kill_at: float | None = None  # when SIGTERM was not enough
        self.stopped_at: float | None = None
        self.resume_reading_at: float | None = None

    def terminate(self, grace: float, why: str, detail: str = "") -> None:
        """SIGTERM to the group now, SIGKILL after `grace`."""
        if not self.why:
            self.why, self.detail = why, detail
        if grace <= 0:
            self.kill()
            return
        if self.kill_at is None:
            kinship.kill_group(self.pid, signal.SIGTERM)
            kinship.kill_group(self.pid, signal.SIGCONT)
            self.kill_at = time.monotonic() + grace

    def kill(self) -> None:
        """SIGKILL to the group and to all descendants that left it."""
        self.kill_at = None
        below = kinship.descendants(self.pid)
        kinship.kill_group(self.pid, signal.SIGKILL)
        for pid in below:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


class Nursery:
    """All children of the supervisor."""

    def __init__(self, lease: float) -> None:
        self.by_worker: dict[int, Child] = {}
        self.by_pid: dict[int, Child] = {}
        self._lease = lease
        self._watched_at = 0.0
        self._leaving: list[tuple[float, Exited]] = []  # gone, and waiting for their strays to be gone too

    def add(self, child: Child) -> None:
        self.by_worker[child.worker] = child
        self.by_pid[child.pid] = child

    # ------------------------------------------------------------ time

    def next_alarm(self) -> float | None:
        """When (monotonic) `watch` should be called, at the latest."""
        times = [child.kill_at for child in self.by_pid.values() if child.kill_at is not None]
        times += [child.stopped_at + self._lease for child in self.by_pid.values() if child.stopped_at is not None]
        times += [at for at, _ in self._leaving]
        if any(child.limit for child in self.by_pid.values()):
            times.append(self._watched_at + _WATCH_EVERY)
        return min(times, default=None)

    def watch(self, now: float) -> None:
        """Kill what is overdue, has stood still for too long, or has taken too much."""
        look = now - self._watched_at >= _WATCH_EVERY
        if look:
            self._watched_at = now
        for child in self.by_pid.values():
            if child.kill_at is not None and now >= child.kill_at:
                child.kill()
            if child.stopped_at is not None and now - child.stopped_at >= self._lease:
                child.stopped_at = None
                child.terminate(0, "lease", f"it stood still for {self._lease:g} s")
            if look and child.limit and not child.why:
                self._weigh(child, child.limit)

    def _weigh(self, child: Child, limit: int) -> None:
        taken = sum(map(kinship.own_memory, kinship.descendants(child.pid))) - child.baseline
        if taken > limit:
            child.terminate(0, "memory", f"it took {_megabytes(taken)}, and its limit is {_megabytes(limit)}")

    # ------------------------------------------------------------ ends

    def reap(self) -> Iterator[Exited]:
        """Take in all news of children. Yields the workers that are gone, with all that they had started."""
        unknown = False
        while (news := _next_news()) is not None:
            pid, state, ended = news
            child = self.by_pid.get(pid)
            if state != "ended":
                if child is not None:
                    child.stopped_at = time.monotonic() if state == "stopped" else None
                continue
            if child is not None:
                kinship.kill_group(pid, signal.SIGKILL)  # while the dead leader, if it can be left so, still holds the id of its group
            status, usage = ended or os.wait4(pid, 0)[1:]
            if child is None:
                unknown = True
                continue
            self._leaving.append((time.monotonic() + _STRAYS_WAIT, self._exited(child, status, usage)))
        if self._leaving or unknown:
            yield from self._departures()

    def _departures(self) -> Iterator[Exited]:
        strays = set(kinship.children_of(os.getpid())) - self.by_pid.keys()
        for pid in strays:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        now = time.monotonic()
        left: list[tuple[float, Exited]] = []
        for until, exited in self._leaving:
            if strays and now < until:
                left.append((until, exited))
            else:
                yield exited
        self._leaving = left

    def _exited(self, child: Child, status: int, usage: Any) -> Exited:
        del self.by_pid[child.pid], self.by_worker[child.worker]
        signum = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        why, detail = child.why, child.detail
        if signum == signal.SIGKILL and not why:
            after = kinship.kernel_kills()
            if after is not None and child.kills_before is not None and after > child.kills_before:
                why, detail = "memory", "the kernel's out-of-memory killer ended a process at that time"
        return Exited(
            child.worker,
            os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            signum,
            bool(signum and os.WCOREDUMP(status)),
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss << 10,
            why,  # type: ignore[arg-type]
            detail,
        )


def _next_news() -> tuple[int, str, tuple[int, Any] | None] | None:
    """A child that stopped, continued or ended. Where the system lets us, one that ended is left to be waited for."""
    try:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            state = "stopped" if os.WIFSTOPPED(status) else "ended"
            return (pid, state, (status, usage)) if pid else None
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        if found.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED, os.CLD_CONTINUED):
            os.waitid(os.P_PID, found.si_pid, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
            return found.si_pid, "continued" if found.si_code == os.CLD_CONTINUED else "stopped", None
        return found.si_pid, "ended", None
    except ChildProcessError:
        return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"

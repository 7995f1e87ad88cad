"""The control process's end of one supervisor: started, loaded, asked for workers, watched, ended.

Knows processes and messages; no attempts. Nothing of the project's is imported here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tidemill.errors import Problem
from tidemill.executors.far import kinship
from tidemill.executors.far.problems import EndedWhileLoading, LoadTimeout, is_users
from tidemill.executors.frames import Unframer, frame
from tidemill.executors.protocol import Bye, Exited, Fork, Forked, FromSupervisor, Kill, Loaded, Ping, Pong, Role, Spec

_LOG_LIMIT = 1 << 20  # bytes of what the import printed


class SupervisorLink:
    """One supervisor process. `exited` hears of its workers; `gone` hears, once, that it is no more."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.pids: dict[int, int] = {}  # worker → process, of those that live
        self.alive = True
        self.mark = f"TIDEMILL_SUPERVISOR={secrets.token_hex(12)}"
        self.loaded: Loaded | None = None
        self.problem: Problem | None = None
        self._unframer: Unframer[FromSupervisor] = Unframer(FromSupervisor)
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: asyncio.Future[None] | None = None
        self._over: asyncio.Future[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._pinged = self._ponged = 0
        self._watching: asyncio.TimerHandle | None = None
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the system's own signature
        self._sock = ours
        home = Path(self.spec.home)
        (home / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._dump = Path(tempfile.mkdtemp(prefix="tidemill-")) / "threads"
        log = home / "logs" / "project.log"
        fresh = not log.exists() or log.stat().st_size > _LOG_LIMIT
        # The kernel tells the supervisor of the end of the *thread* that started it, so only the main thread counts as its parent.
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        name, _, value = self.mark.partition("=")
        with theirs, log.open("wb" if fresh else "ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tidemill.worker", str(theirs.fileno()), str(parent), str(self._dump)],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, name: value},
            )
        self._send(frame(self.spec))

    # ------------------------------------------------------------ loading

    def attach(
        self,
        *,
        load_timeout: float,
        exited: Callable[[Exited], None],
        gone: Callable[[SupervisorLink], None],
    ) -> None:
        """From now on messages are heard, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._exited, self._gone = exited, gone
        self._ready = self._loop.create_future()
        self._over = self._loop.create_future()
        self._loop.add_reader(self._sock, self._read)
        self._timers.append(self._loop.call_later(load_timeout, self._ask_where, load_timeout))

    async def ready(self) -> None:
        """Wait until the project is loaded. Raises the `Problem` that it has."""
        assert self._ready is not None
        await asyncio.shield(self._ready)
        if self.problem is not None:
            raise self.problem

    def _ask_where(self, seconds: float) -> None:
        if self.loaded is None and self.alive:
            assert self._loop is not None
            self.process.send_signal(signal.SIGUSR1)
            self._timers.append(self._loop.call_later(0.3, self._give_up, seconds))

    def _give_up(self, seconds: float) -> None:
        if self.loaded is None and self.alive:
            where, line = self._standing()
            self._fail(LoadTimeout(self.spec.project, seconds, where=where, line=line))
            self.kill_all()

    def _standing(self) -> tuple[str, str]:
        """The innermost line of the user's that the dump of threads names."""
        with contextlib.suppress(OSError):
            for line in self._dump.read_text(errors="replace").splitlines():
                words = line.strip().split('"')
                if len(words) == 3 and words[0] == "File " and is_users(words[1]) and not words[1].startswith(sys.base_prefix + "/lib"):
                    number, _, inside = words[2].removeprefix(", line ").partition(" in ")
                    return f"{words[1]}:{number}", f"{words[1]}:{number}, in {inside}"
        return "", ""

    def _fail(self, problem: Problem) -> None:
        self.problem = self.problem or problem
        self._settle()

    def _settle(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        for timer in self._timers:
            timer.cancel()

    # ------------------------------------------------------------ orders

    def fork(self, worker: int, role: Role, *, memory: int | None = None) -> tuple[socket.socket, int, int]:
        """Ask for a worker. Its socket can be written to at once; the ends of its pipe of tokens: (write, read)."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 - the system's own signature
        for end in (ours, theirs):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        # The ends that travel are closed here once they are sent; the reading end of the tokens is used by both sides.
        self._send(frame(Fork(worker, role, memory)), (theirs.detach(), os.dup(read)))
        return ours, write, read

    def kill(self, worker: int, grace: float) -> None:
        """End a worker."""
        self._send(frame(Kill(worker, grace)))

    def bye(self, grace: float) -> None:
        """End it and all its workers, gently at first."""
        self._send(frame(Bye(grace)))

    def kill_all(self) -> None:
        """End it and all its workers at once, from here: it may be past answering."""
        for pid in self.pids.values():
            kinship.kill_group(pid, signal.SIGKILL)
        self.process.kill()
        for pid in kinship.marked(self.mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def watch(self, *, busy: Callable[[], bool]) -> None:
        """While `busy()`, see that it answers within its lease; kill it when it does not."""
        if self._watching is None and self.alive and self._loop is not None:
            self._watching = self._loop.call_later(self.spec.lease / 3, self._check, busy)

    def _check(self, busy: Callable[[], bool]) -> None:
        self._watching = None
        if not self.alive or not busy():
            return
        if self._pinged - self._ponged >= 3:
            self.kill_all()
            self._lose()
            return
        if self.loaded is not None:
            self._pinged += 1
            self._send(frame(Ping(self._pinged)))
        self.watch(busy=busy)

    # ------------------------------------------------------------ the socket

    def _send(self, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
        self._unsent.append((data, descriptors))
        self._flush()

    def _flush(self) -> None:
        while self._unsent and self.alive:
            data, descriptors = self._unsent[0]
            try:
                sent = socket.send_fds(self._sock, [data], list(descriptors)) if descriptors else self._sock.send(data)
            except BlockingIOError:
                if self._loop is not None:
                    self._loop.add_writer(self._sock, self._flush)
                return
            except OSError:
                break
            for fd in descriptors:
                os.close(fd)
            if sent < len(data):
                self._unsent[0] = (data[sent:], ())
            else:
                self._unsent.popleft()
        else:
            if self._loop is not None and self.alive:
                self._loop.remove_writer(self._sock)
            return
        for _, descriptors in self._unsent:
            for fd in descriptors:
                os.close(fd)
        self._unsent.clear()

    def _read(self) -> None:
        try:
            data = self._sock.recv(256 << 10)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._lose()
            return
        for message in self._unframer.feed(data):
            match message:
                case Loaded():
                    self.loaded = message
                    if message.problem is not None:
                        self._fail(Problem.of(message.problem))
                    self._settle()
                case Forked(worker, pid):
                    self.pids[worker] = pid
                case Exited(worker):
                    self.pids.pop(worker, None)
                    self._exited(message)
                case Pong(n):
                    self._ponged = max(self._ponged, n)

    def _lose(self) -> None:
        if not self.alive:
            return
        self.alive = False
        assert self._loop is not None
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self.kill_all()
        code = self._reap()
        if self.loaded is None and self.problem is None:
            self._fail(EndedWhileLoading(self.spec.project, f"exit code {code}" if code >= 0 else kinship.signal_name(-code)))
        self._settle()
        if self._watching is not None:
            self._watching.cancel()
        self._sock.close()
        if self._over is not None and not self._over.done():
            self._over.set_result(None)
        self._gone(self)

    async def ended(self, within: float) -> None:
        """Wait for its end, as the end of its socket tells it."""
        assert self._over is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._over), max(0.0, within))

    def finish(self) -> None:
        """Whatever is left of it is ended by force."""
        if self.alive:
            self._lose()

    def _reap(self) -> int:
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        with contextlib.suppress(OSError):
            self._dump.unlink(missing_ok=True)
            self._dump.parent.rmdir()
        return code

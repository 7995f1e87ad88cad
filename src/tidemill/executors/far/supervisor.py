"""The supervisor: a process that has imported the project and runs none of it. It forks workers, writes their logs,
watches them, and leaves nobody behind.

One thread, one poll. Knows no attempts; which function a worker runs is given.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tidemill.executors.far import kinship
from tidemill.executors.far.children import Child, Nursery
from tidemill.executors.frames import Unframer, frame
from tidemill.executors.output.logfiles import Attribution
from tidemill.executors.output.marks import KEY_SIZE
from tidemill.executors.protocol import Bye, Exited, Fork, Forked, Kill, Ping, Pong, Role, Spec, ToSupervisor

_READ = 256 << 10
_MUCH = 32 << 10  # a read of more means that the worker floods: it is read on at once
_REST = 0.02  # seconds until output is read again: a worker that runs thousands of tasks writes thousands of marks
_LINE_WAIT = 0.5  # seconds after which the beginning of a line is written as it is


class Entry(NamedTuple):
    """What a new worker is given."""

    spec: Spec
    role: Role
    sock: socket.socket
    tokens: int  # the reading end of its pipe of tokens
    out: int  # a private copy of its standard output
    mark: bytes  # the token of its marks
    memory: int | None


class Supervisor:
    """Serves one control process until it is told to end, or its control process is gone."""

    def __init__(self, spec: Spec, control: socket.socket, *, enter: Callable[[Entry], None], unforkable: str = "") -> None:
        self._spec = spec
        self._control = control
        self._enter = enter
        self._unforkable = unforkable
        self._unframer: Unframer[ToSupervisor] = Unframer(ToSupervisor)
        self._descriptors: list[int] = []  # received, not yet given to a worker
        self._nursery = Nursery(spec.lease)
        self._outputs: dict[int, Child] = {}
        self._poll = select.poll()
        self._ending: float | None = None  # when all must be gone
        self._unsent = b""
        self._pid = os.getpid()

    def serve(self) -> None:
        """Run until everything is over."""
        wake_read, wake_write = os.pipe()
        for fd in (wake_read, wake_write):
            os.set_blocking(fd, False)
        self._wake = (wake_read, wake_write)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._end(self._spec.grace))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        kinship.adopt_orphans()
        self._control.setblocking(False)  # noqa: FBT003 - the system's own signature
        self._poll.register(self._control.fileno(), select.POLLIN)
        self._poll.register(wake_read, select.POLLIN)
        gc.collect()
        gc.freeze()
        while self._ending is None or (self._nursery.by_pid and time.monotonic() < self._ending):
            self._step()
        for child in self._nursery.by_pid.values():
            child.kill()
        for fd in list(self._outputs):
            self._drain(fd)

    def _step(self) -> None:
        for fd, event in self._poll.poll(self._patience()):
            if fd == self._control.fileno():
                if event & select.POLLOUT:
                    self._send()
                if event & ~select.POLLOUT:
                    self._obey()
            elif fd == self._wake[0]:
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 4096)
            else:
                self._listen(fd)
        now = time.monotonic()
        for exited in self._nursery.reap():
            self._tell(exited)
        self._nursery.watch(now)
        self._write_late(now)

    def _patience(self) -> float | None:
        """Milliseconds until something is due."""
        times = [at for child in self._outputs.values() if (at := child.resume_reading_at)]
        times += [at + _LINE_WAIT for child in self._outputs.values() if (at := child.log.unfinished)]
        times += [at for at in (self._nursery.next_alarm(), self._ending) if at is not None]
        if not times:
            return None
        return max(0.0, min(times) - time.monotonic()) * 1000 + 1

    # ------------------------------------------------------------ control

    def _obey(self) -> None:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._control, _READ, 32)
        except BlockingIOError:
            return
        except ConnectionError:
            data, descriptors = b"", []
        self._descriptors += descriptors
        if not data:
            self._poll.unregister(self._control.fileno())
            self._end(self._spec.grace)
            return
        for message in self._unframer.feed(data):
            match message:
                case Fork():
                    self._fork(message)
                case Kill(worker, grace):
                    if child := self._nursery.by_worker.get(worker):
                        child.terminate(grace, "killed")
                case Ping(n):
                    self._tell(Pong(n))
                case Bye(grace):
                    self._end(grace)

    def _end(self, grace: float) -> None:
        if self._ending is None or time.monotonic() + grace < self._ending:
            self._ending = time.monotonic() + grace + 1.0
            for child in self._nursery.by_pid.values():
                child.terminate(grace, "killed")

    def _tell(self, message: msgspec.Struct) -> None:
        self._unsent += frame(message)
        self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self._unsent = self._unsent[self._control.send(self._unsent) :]
        with contextlib.suppress(KeyError, FileNotFoundError, ValueError):
            self._poll.modify(self._control.fileno(), select.POLLIN | (select.POLLOUT if self._unsent else 0))

    # ------------------------------------------------------------ workers

    def _fork(self, order: Fork) -> None:
        sock, tokens = socket.socket(fileno=self._descriptors.pop(0)), self._descriptors.pop(0)
        if self._ending is not None:
            sock.close()
            os.close(tokens)
            self._tell(Exited(order.worker, why="unstarted"))
            return
        out_read, out_write = os.pipe()
        os.set_blocking(out_read, False)
        with contextlib.suppress(AttributeError, OSError):  # only Linux, and only while the user has pages left for pipes
            fcntl.fcntl(out_write, fcntl.F_SETPIPE_SZ, 256 << 10)
        entry = Entry(self._spec, order.role, sock, tokens, out_write, secrets.token_hex(KEY_SIZE // 2).encode(), order.memory)
        try:
            pid = self._spawn(entry) if self._unforkable else os.fork()
        except OSError as error:
            os.close(out_read)
            self._tell(Exited(order.worker, why="unstarted", detail=f"the system gives no new process: {error.strerror}"))
        else:
            if pid == 0:
                os.close(out_read)
                self._become(entry)
            log = Attribution(Path(self._spec.home), entry.mark, self._spec.log_quota)
            child = Child(order.worker, pid, order.role, order.memory, out_read, log)
            self._nursery.add(child)
            self._outputs[out_read] = child
            self._poll.register(out_read, select.POLLIN)
            self._tell(Forked(order.worker, pid))
        finally:
            for fd in (sock.detach(), tokens, out_write):
                os.close(fd)

    def _become(self, entry: Entry) -> None:
        """In the new process: let go of the supervisor, and be a worker. Does not return."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            kinship.die_with_parent(signal.SIGKILL, parent=self._pid)
            for fd in (self._control.detach(), *self._wake, *self._outputs):
                os.close(fd)
            self._enter(entry)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:  # noqa: BLE001 - nothing of a worker may go on as a second supervisor
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _spawn(self, entry: Entry) -> int:
        """A worker that imports the project itself, for projects that must not be forked."""
        import subprocess  # lazily: most supervisors only fork

        spec_read, spec_write = os.pipe()
        os.write(spec_write, frame(self._spec))
        os.close(spec_write)
        fds = (spec_read, entry.sock.fileno(), entry.tokens, entry.out)
        words = [
            sys.executable,
            "-P",
            "-m",
            "tidemill.worker",
            "--child",
            entry.role,
            *map(str, fds),
            entry.mark.decode(),
            str(entry.memory or 0),
        ]
        try:
            return subprocess.Popen(words, pass_fds=fds, start_new_session=True, stdin=subprocess.DEVNULL).pid
        finally:
            os.close(spec_read)

    # ------------------------------------------------------------ output

    def _listen(self, fd: int) -> None:
        child = self._outputs[fd]
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return
        if not data:
            self._close_output(fd)
            return
        child.log.feed(data)
        if len(data) < _MUCH:
            self._poll.unregister(fd)
            child.resume_reading_at = time.monotonic() + _REST

    def _write_late(self, now: float) -> None:
        for fd, child in list(self._outputs.items()):
            if child.resume_reading_at is not None and now >= child.resume_reading_at:
                child.resume_reading_at = None
                self._poll.register(fd, select.POLLIN)
            if (since := child.log.unfinished) is not None and now - since >= _LINE_WAIT:
                child.log.flush(whole=False)
            if child.pid not in self._nursery.by_pid:
                self._drain(fd)

    def _drain(self, fd: int) -> None:
        """The worker is gone: read what is left, and do not wait for others that may still hold its output."""
        child = self._outputs[fd]
        for _ in range(64):
            try:
                data = os.read(fd, _READ)
            except BlockingIOError:
                break
            if not data:
                break
            child.log.feed(data)
        self._close_output(fd)

    def _close_output(self, fd: int) -> None:
        child = self._outputs.pop(fd)
        with contextlib.suppress(KeyError):
            self._poll.unregister(fd)
        child.log.close()
        os.close(fd)

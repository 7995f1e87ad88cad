"""The lock beside a SQLite file: who drives it, and the last entry known to be on disk. Knows no SQL.

The entry's number is a witness outside the database: a file or a log that was cut back cannot vouch for itself.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tidemill.store.problems import InUse, StoreUnreachable

_HEAD = 24  # bytes at the start of the file: the witness, in digits
_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


class _Holder(msgspec.Struct):
    pid: int = 0
    host: str = ""
    command: str = ""
    since: str = ""


class FileLock:
    """An exclusive `flock` on `<path>.lock` for as long as this object is held. Raises `InUse`."""

    def __init__(self, path: Path, *, command: str) -> None:
        self.path = _beside(path)
        self._handle: int | None = None
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnreachable(
                f"The lock {self.path} cannot be opened.",
                why=f"The system said: {error.strerror}. One process at a time may drive a SQLite store, and the lock says which.",
                mend="Give this user the right to write the folder of the store.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(handle)
            os.close(handle)
            raise InUse(str(path), pid=holder.pid, command=holder.command, since=holder.since, host=holder.host) from error
        self._handle = handle
        self._seq = _witness(handle)
        self._sign(command)
        _held.add(self)

    def _sign(self, command: str) -> None:
        handle = self._open()
        os.fchmod(handle, 0o600)
        if os.fstat(handle).st_size < _HEAD:
            os.pwrite(handle, b"0".rjust(_HEAD - 1) + b"\n", 0)
        os.utime(handle)
        since = datetime.fromtimestamp(int(os.fstat(handle).st_mtime), UTC)  # the file system's clock, not ours
        holder = _Holder(os.getpid(), os.uname().nodename, command, since.strftime("%Y-%m-%d %H:%M:%S UTC"))
        os.ftruncate(handle, _HEAD)
        os.pwrite(handle, msgspec.json.encode(holder) + b"\n", _HEAD)

    def _open(self) -> int:
        if self._handle is None:
            raise ValueError("the lock was released")
        return self._handle

    def witnessed(self) -> int:
        """The highest number that was ever noted."""
        return self._seq

    def witness(self, seq: int) -> None:
        """Note that entry `seq` is on disk."""
        if seq > self._seq:
            self._seq = seq
            os.pwrite(self._open(), b"%*d" % (_HEAD - 1, seq), 0)

    @staticmethod
    def last_witness(path: Path) -> int:
        """What the lock beside `path` says, whoever holds it; 0 when there is none."""
        try:
            handle = os.open(_beside(path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            return _witness(handle)
        finally:
            os.close(handle)

    def release(self) -> None:
        """Let another process in. The file stays: deleting it would let two processes hold two locks."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _witness(handle: int) -> int:
    digits = os.pread(handle, _HEAD, 0).strip()
    return int(digits) if digits.isdigit() else 0


def _holder(handle: int) -> _Holder:
    told: Any = os.pread(handle, 65536, _HEAD)
    try:
        return msgspec.json.decode(told, type=_Holder)
    except msgspec.DecodeError:  # it is just being written
        return _Holder(since="a moment ago")


def _let_go_in_child() -> None:
    # A fork shares the lock: without this, a worker that outlives us would keep the store shut.
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_let_go_in_child)

"""Parents, children and groups of processes as the kernel knows them. Linux; elsewhere it does what POSIX can.

Knows nothing of messages and attempts.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform.startswith("linux")
_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")

_libc: Any = ctypes.CDLL(None, use_errno=True) if _LINUX else None


def die_with_parent(signum: int, *, parent: int) -> None:
    """Have the kernel send `signum` when the parent ends. Ends at once if it already has."""
    if _LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end, so that none can slip away."""
    if _LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_group(group: int, signum: int) -> None:
    """Send a signal to a process group; nothing if it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)


def children_of(pid: int) -> list[int]:
    """Processes whose parent is `pid`; an empty list where /proc does not tell."""
    try:
        return [int(word) for task in (_PROC / str(pid) / "task").iterdir() for word in (task / "children").read_text().split()]
    except OSError:
        return [one for one, parent in _parents() if parent == pid]


def descendants(pid: int) -> set[int]:
    """`pid` and everything below it."""
    found, queue = {pid}, [pid]
    while queue:
        for child in children_of(queue.pop()):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found


def _parents() -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    if not _LINUX:
        return found
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name may hold blanks and brackets: fields are counted from its end.
                found.append((int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])))
    return found


def marked(word: str) -> list[int]:
    """Processes whose first environment held `word`: what a supervisor that is gone has left behind."""
    found: list[int] = []
    if not _LINUX:
        return found
    needle = word.encode()
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if needle in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def own_memory(pid: int) -> int:
    """Bytes of memory that are this process's own: anonymous and shared-memory pages, files left out. 0 if it is gone."""
    total = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) << 10
    return total


def data_size() -> int:
    """Bytes of data segment that this process has mapped: what RLIMIT_DATA counts. 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (_PROC / "self" / "status").read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 0


def resident() -> int:
    """Bytes of memory that this process holds now. 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((_PROC / "self" / "statm").read_text().split()[1]) * _PAGE
    return 0


def kernel_kills() -> int | None:
    """How many processes the kernel has killed for memory since it started; None where it does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (_PROC / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def signal_name(number: int) -> str:
    """The name of a signal: SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

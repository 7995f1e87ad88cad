"""Limits that a worker puts on itself before user code runs. Knows the system's limits, nothing of tasks."""

from __future__ import annotations

import os
import resource

from tidemill.executors.far import kinship

_THREAD_STACK = 8 << 20  # bytes that each native thread reserves


def limit_memory(limit: int) -> None:
    """Let this process map at most `limit` bytes more than it has now, with slack for what is reserved and not used.

    This stops a task that asks for everything at once; the supervisor weighs what is really taken.
    """
    slack = max(64 << 20, limit // 4) + _THREAD_STACK * (os.cpu_count() or 1)
    bound = kinship.data_size() + limit + slack
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard not in (resource.RLIM_INFINITY, -1):
        bound = min(bound, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))

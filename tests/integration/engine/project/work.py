"""Work that waits for the test, so that an outage can happen in its middle."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill import flow, task


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def counted(x: int, scratch: str) -> int:
    """Leaves a trace of every execution; the tenth waits until the test lets it go on."""
    with (Path(scratch) / "traces").open("a") as traces:
        traces.write(f"{x}\n")
    if x == 10:
        fifo = os.open(str(Path(scratch) / "go"), os.O_RDONLY)  # until the test opens the other end
        os.close(fifo)
    return x


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@flow
def through_an_outage(n: int, scratch: str) -> int:
    return total(counted.partial(scratch=scratch).map(numbers(n)))


@task
def squared(x: int) -> int:
    return x * x


@flow(dynamic=True)
def sum_of_squares(n: int) -> int:
    return sum(squared(x) for x in range(n))


@flow
def many_sums() -> int:
    """Drivers of one mapped dynamic flow that run side by side and make equal calls."""
    return total(sum_of_squares.map([3, 4, 5]))

"""Flows that do nothing, so that what is measured is us."""

from __future__ import annotations

from tidemill import flow, task


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def same(x: int) -> int:
    return x


@task
def count(xs: list[int]) -> int:
    return len(xs)


@task(executor="inline")
def same_inline(x: int) -> int:
    return x


@task(isolation="fresh")
def same_fresh(x: int) -> int:
    return x


@flow
def fan(n: int) -> int:
    """1 → n → 1"""
    return count(same.map(numbers(n)))


@flow
def chain(n: int) -> int:
    x = same(0)
    for _ in range(n - 1):
        x = same(x)
    return x


@flow
def chain_inline(n: int) -> int:
    x = same_inline(0)
    for _ in range(n - 1):
        x = same_inline(x)
    return x


@flow
def chain_fresh(n: int) -> int:
    x = same_fresh(0)
    for _ in range(n - 1):
        x = same_fresh(x)
    return x


@flow
def wide(n: int) -> list[int]:
    """n nodes without a map"""
    return [same(at) for at in range(n)]

"""What a checker must see in user code: a call of a task is its result. Read by mypy and pyright in `./dev test`, never run."""

from __future__ import annotations

from typing import assert_type

from tidemill import flow, task


@task
def numbers(upto: int) -> list[int]:
    return list(range(upto))


@task(retries=2, tags=["typed"])
def double(number: int, by: int = 2) -> int:
    return number * by


@task
async def name(number: int) -> str:
    return str(number)


@task
def sizes() -> dict[str, int]:
    return {"a": 1}


@flow(tags=["typed"])
def report(upto: int, title: str = "") -> int:
    some = numbers(upto)
    assert_type(some, list[int])
    assert_type(some[0], int)
    assert_type(double.map(some), list[int])
    assert_type(double.partial(by=3).map(some), list[int])
    assert_type(double.map(sizes()), dict[str, int])
    assert_type(name(1), str)
    assert_type(name.map(some), list[str])
    return double(some[0])


assert_type(report(3), int)
assert_type(report(upto=3, title="x"), int)
double("three")  # type: ignore[arg-type]  # a wrong argument is an error, or --strict would find this comment unused

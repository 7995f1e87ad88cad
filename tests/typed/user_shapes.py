"""What a checker must see in the shapes of user code: policies, branches, pairs, resources, dynamic flows. Never run."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, NamedTuple, assert_type

from tidemill import Backoff, Resource, Submitted, TaskFailed, Timeout, flow, run, secret, setup, task, when


class Range(NamedTuple):
    low: int
    name: str


class Shop(Resource):
    url: str
    token: str = secret("SHOP_TOKEN")


shop = Shop(url="https://shop.example")


@task(retries=3, retry_on=TimeoutError, backoff="exponential", timeout="2m", pool="api", priority=5)
def fetch(page: int, size: int = 10) -> dict[str, int]:
    run.metric("page", page)
    run.progress(0.5)
    return {"page": page}


@task(retry_on="memory", memory="1GiB", memory_growth=2, retries=2, timeout={"run": "2m", "total": timedelta(hours=1)})
def large() -> Range:
    return Range(1, "a")


@task(backoff=[1, "10s"], retry_on=[OSError, "signal"], timeout=Timeout(queue=3), cache="2d", tags=["a"], run_if="all_done")
def listed(xs: list[dict[str, int]]) -> int:
    return len(xs)


@task(backoff=lambda attempt, error: attempt * 2.0, cache=True, isolation="fresh", executor="thread", cpus=0.5)
def asked(n: int) -> bool:
    return n > 1


@task(backoff=Backoff(kind="exponential", first=2))
async def later(n: int) -> str:
    return str(n)


@task
def pull(shop: Shop) -> list[int]:
    assert_type(shop.token, str)
    return [1]


@task
def stop(cluster: list[int]) -> None: ...


@task
def alarm(what: dict[str, object]) -> None: ...


@flow(on_failure=alarm, on_exit=alarm, fail_fast=True, timeout="1h", max_active=3)
def pages(last: int, mode: Literal["fast", "full"] = "fast") -> int:
    low, name = large()
    assert_type(low, int)
    assert_type(name, str)
    found = fetch.partial(size=5).map(range(last))
    assert_type(found, list[dict[str, int]])
    assert_type(fetch.options(retries=5)(low)["page"], int)
    assert_type(fetch.following(found)(1), dict[str, int])
    big = asked(low)
    with when(big):
        later(low)
    with when(~big), setup(pull(shop), teardown=stop) as cluster:
        assert_type(cluster, list[int])
    return listed(found)


@flow
def outer() -> list[int]:
    assert_type(pages(3), int)
    assert_type(pages.map({"a": 1}), dict[str, int])
    return pages.partial(mode="full").map([1, 2])


@flow(dynamic=True)
async def body(n: int) -> list[str]:
    first: Submitted[str] = later.submit(n)
    try:
        assert_type(await first, str)
    except TaskFailed as error:
        assert_type(error.task, str)
    return [await later.submit(2), later.submit(3).result()]


assert_type(outer(), list[int])
assert_type(body(1), list[str])
assert_type(pages(3, mode="full"), int)

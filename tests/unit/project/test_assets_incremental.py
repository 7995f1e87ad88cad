"""Whatever is edited and whatever arrives: what is computed bit by bit equals a rebuild from nothing, and nothing is computed twice."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.authoring.assets.entries import AssetEntry
from tidemill.graph.assets import Environment, RefRow
from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Handle
from tidemill.plan.decide import parts_of
from tidemill.plan.keys import key_of
from tidemill.plan.values import State
from tidemill.ports import Commit, MemoRow, RunRow
from tidemill.project.assets import Assets
from tidemill.store.memory import MemoryStore

NEVER_ENDS = 1e12


class World:
    """A project with pure functions as assets, a store, and what an engine does: look up each key, compute what is not there.

    The result of an asset is `behaviour(code)` of its inputs; two codes in three behave alike, as after a refactoring.
    """

    def __init__(self, shape: list[list[int]]) -> None:
        self.inputs = {f"a{n}": {f"p{i}": name for i, name in enumerate(self._upstream(n, ups))} for n, ups in enumerate(shape)}
        self.code = dict.fromkeys(self.inputs, 0)
        self.arrived = {"s0": 0, "s1": 0}
        self.store = MemoryStore()
        self.computed: list[str] = []  # keys
        graph = Graph(flow="assets", nodes=())
        self.store.create_run(RunRow(id="r", key="r", flow="assets", graph=graph_digest(graph)), graph)
        self.epoch = self.store.claim("e", now=0.0, until=NEVER_ENDS, limit=1)[0].epoch
        self.store.create_environment(Environment(name="dev", parent="default"))
        for name in self.arrived:
            self.observe("default", name)

    @staticmethod
    def _upstream(n: int, ups: list[int]) -> Iterable[str]:
        known = ["s0", "s1", *(f"a{i}" for i in range(n))]
        return dict.fromkeys(known[up % len(known)] for up in ups)

    def result(self, name: str, versions: dict[str, str]) -> str:
        behaviour = self.code[name] // 3
        return key_of(f"{name} result {behaviour}", {parameter: versions[up] for parameter, up in self.inputs[name].items()})

    def observe(self, environment: str, name: str) -> None:
        version = f"{name}={self.arrived[name]}"
        self.store.publish([self.pointer(environment, name, version, key="")])

    def pointer(self, environment: str, name: str, version: str, *, key: str) -> RefRow:
        handle = Handle("json", version, 1)
        return RefRow(environment=environment, asset=name, version=version, key=key, handle=handle, at=1.0, run="r", because="computed")

    def assets(self, environment: str) -> Assets:
        sources = [AssetEntry(name=name, kind="source") for name in self.arrived]
        made = [AssetEntry(name=name, inputs=ups, parts={f"code {name}": str(self.code[name])}) for name, ups in self.inputs.items()]
        return Assets(self.store, [*sources, *made], environment, now=2.0)

    def update(self, environment: str, selection: str) -> int:
        """Do what a run does. Returns how many nodes were computed."""
        for name in self.arrived:
            self.observe(environment, name)
        assets = self.assets(environment)
        names = assets.select([selection] if selection else [])
        defined, before = assets.defined(), len(self.computed)
        for one in assets.plan(names).decisions:
            if one.state in (State.OK, State.BLOCKED):
                continue
            assert one.state in (State.RUN, State.MAYBE, State.LINK)
            shown = {name: ref.version for name, ref in self.assets(environment).shown.items()}
            parts = parts_of(defined[one.name], shown)
            self.make(environment, one.name, parts, shown, may_compute=one.state is not State.LINK)
        return len(self.computed) - before

    def make(self, environment: str, name: str, parts: dict[str, str], shown: dict[str, str], *, may_compute: bool) -> None:
        key = key_of(name, parts)
        memo = self.store.recall([key], now=2.0).get(key)
        if memo is not None:
            self.store.publish([self.pointer(environment, name, memo.handle.digest, key=key)])
            return
        assert may_compute, f"{name} was said to be there already"
        self.computed.append(key)
        ref = self.pointer(environment, name, self.result(name, shown), key=key)
        memo = MemoRow(key=key, node=name, handle=ref.handle, at=1.0, run="r", parts=parts)
        assert self.store.commit([Commit(run="r", epoch=self.epoch, memos=[memo], refs=[ref])], durable=True) == []

    def shown(self, environment: str) -> dict[str, str]:
        return {ref.asset: ref.version for ref in self.store.refs(environment)}

    def rebuilt(self) -> dict[str, str]:
        """All of it, computed from nothing."""
        versions = {name: f"{name}={value}" for name, value in self.arrived.items()}
        for name in self.inputs:
            versions[name] = self.result(name, versions)
        return versions


shapes = st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=3), min_size=1, max_size=8)
edits = st.tuples(st.just("edit"), st.integers(0, 7), st.integers(0, 8))
arrivals = st.tuples(st.just("arrive"), st.integers(0, 1), st.integers(0, 2))
updates = st.tuples(st.just("update"), st.integers(0, 7), st.sampled_from(["", "{}", "+{}", "{}+", "@{}"]))
branches = st.tuples(st.just("branch"), st.integers(0, 7), st.sampled_from(["", "+{}"]))
histories = st.lists(st.one_of(edits, arrivals, updates, branches), max_size=14)


def played(shape: list[list[int]], history: list[tuple[str, int, object]]) -> World:
    world = World(shape)
    for what, n, value in history:
        if what == "edit":
            world.code[f"a{n % len(shape)}"] = int(str(value))
        elif what == "arrive":
            world.arrived[f"s{n}"] = int(str(value))
        else:
            world.update("dev" if what == "branch" else "default", str(value).format(f"a{n % len(shape)}"))
    return world


@settings(max_examples=300, deadline=None)
@given(shapes, histories)
def test_what_is_updated_bit_by_bit_equals_a_rebuild_from_nothing(shape: list[list[int]], history: list[tuple[str, int, object]]) -> None:
    world = played(shape, history)
    for environment in ("default", "dev"):
        world.update(environment, "")
        assert world.shown(environment) == world.rebuilt()


@settings(max_examples=300, deadline=None)
@given(shapes, histories)
def test_no_key_is_computed_twice_in_whatever_environment(shape: list[list[int]], history: list[tuple[str, int, object]]) -> None:
    world = played(shape, history)
    world.update("default", "")
    assert len(world.computed) == len(set(world.computed))


@settings(max_examples=300, deadline=None)
@given(shapes, histories)
def test_after_an_update_there_is_nothing_to_do_and_a_branch_reuses_all(
    shape: list[list[int]], history: list[tuple[str, int, object]]
) -> None:
    world = played(shape, history)
    world.update("default", "")
    assert world.update("default", "") == 0
    assert {one.state for one in world.assets("default").plan().decisions} == {State.OK}
    assert world.update("dev", "") == 0


@settings(max_examples=300, deadline=None)
@given(shapes, histories, st.integers(0, 7))
def test_an_edit_without_effect_computes_that_asset_alone(shape: list[list[int]], history: list[tuple[str, int, object]], n: int) -> None:
    world = played(shape, history)
    world.update("default", "")
    name = f"a{n % len(shape)}"
    code = world.code[name]
    world.code[name] = code // 3 * 3 + (code + 1) % 3
    assert world.update("default", "") <= 1
    assert world.shown("default") == world.rebuilt()

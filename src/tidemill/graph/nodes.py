"""The graph of one run: nodes, groups, and the order in which nothing waits for itself.

A node is one call of a task (or one `.map` of it). A group is a flow called inside a flow: a label when it was
called, a repeated sub-graph when it was mapped. Knows no state: what happened to a node is the machine's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from tidemill.errors import Problem
from tidemill.graph.assets import Publication
from tidemill.graph.policy import Policy
from tidemill.graph.values import Expr, Handle, Ref, refs

Role: TypeAlias = Literal["task", "setup", "teardown", "on_failure", "on_exit", "driver"]
# task: ordinary. setup/teardown: a pair around some nodes. on_failure/on_exit: hooks of the flow, after all others.
# driver: the body of a @flow(dynamic=True), which asks for further nodes while it runs.


class TaskRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a worker finds a function: by import, or from `code` (a cloudpickle) when it has no importable name."""

    module: str
    qualname: str
    code: Handle | None = None
    version: str = ""  # fingerprint of the code, or the user's version=

    @property
    def name(self) -> str:
        return f"{self.module}:{self.qualname}"


class When(msgspec.Struct, frozen=True, omit_defaults=True):
    """The node runs only if the truth of `of` is `is_`."""

    of: Expr
    is_: bool = True


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task call. `over` names the mapped parameters, which are zipped; empty for a plain call."""

    key: str  # unique in the graph and readable: "clean", "clean-2", "report.render"
    task: TaskRef
    args: dict[str, Expr] = {}
    over: tuple[str, ...] = ()
    after: tuple[str, ...] = ()  # order without data
    when: tuple[When, ...] = ()
    group: str = ""  # key of the innermost group; "" is the flow itself
    policy: Policy = Policy()
    role: Role = "task"
    setup: str = ""  # of a teardown: the key of its setup
    guards: tuple[str, ...] = ()  # of a teardown: the nodes and mapped groups it must outlive; of an inner flow's hook: its nodes
    hook: str = ""  # of on_failure/on_exit: the parameter that gets {"run", "flow", "state", "failed"}; "" when it takes none
    resources: tuple[str, ...] = ()  # names of parameters that the worker fills with resources
    publishes: Publication | None = None  # its result is a version of an asset
    returns: str = ""  # the declared result type, for people
    calls_with: Literal["keywords", "bind"] = "keywords"  # "bind": positional-only or *args parameters exist

    def inputs(self) -> Iterator[Ref]:
        """Every reference this node reads: arguments, then conditions."""
        for expr in self.args.values():
            yield from refs(expr)
        for when in self.when:
            yield from refs(when.of)

    def waits_for(self) -> tuple[str, ...]:
        """Keys of the nodes and mapped groups that must end first, each once, in reading order."""
        extra = (*self.after, *self.guards, *((self.setup,) if self.setup else ()))
        return tuple(dict.fromkeys([*(ref.node for ref in self.inputs()), *extra]))


class Group(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flow inside a flow. Mapped when `over` is given: its nodes run once per item, and a `Ref` to it is the list of `output`s."""

    key: str
    flow: str
    parent: str = ""  # key of the group around it
    over: dict[str, Expr] = {}  # item parameter → what is mapped over; zipped
    when: tuple[When, ...] = ()
    after: tuple[str, ...] = ()
    output: Expr | None = None

    @property
    def mapped(self) -> bool:
        return bool(self.over)

    def waits_for(self) -> tuple[str, ...]:
        found = [ref.node for expr in self.over.values() for ref in refs(expr)]
        found += [ref.node for when in self.when for ref in refs(when.of)]
        return tuple(dict.fromkeys([*found, *self.after]))


class Graph(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one run will do. `params` are the run's actual parameters, encoded for people and for replay."""

    flow: str
    nodes: tuple[Node, ...]
    groups: tuple[Group, ...] = ()
    output: Expr | None = None
    params: dict[str, Handle] = {}
    fail_fast: bool = False
    max_active: int | None = None  # at most so many tasks of the run at once
    timeout: float | None = None  # seconds for the whole run

    def by_key(self) -> dict[str, Node]:
        return {node.key: node for node in self.nodes}


class CyclicGraph(Problem):
    """Tasks that wait for one another."""

    code = "cyclic-graph"

    def __init__(self, path: list[str]) -> None:
        super().__init__(
            f"These tasks wait for one another: {' → '.join(path)}.",
            why="A task can start only when all it reads or follows has ended.",
            mend="Remove one of the arrows, for example a `>>` between two of them.",
        )


def find_cycle(waits: Mapping[str, tuple[str, ...]]) -> list[str] | None:
    """A path `a → b → a` in which each waits for the next, or None. Linear, and without recursion."""
    done: set[str] = set()
    for root in waits:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            key, leaving = stack.pop()
            if leaving:
                on_path.discard(key)
                path.pop()
                done.add(key)
                continue
            if key in done:
                continue
            if key in on_path:
                return [*path[path.index(key) :], key]
            path.append(key)
            on_path.add(key)
            stack.append((key, True))
            stack.extend((before, False) for before in waits.get(key, ()) if before not in done)
    return None

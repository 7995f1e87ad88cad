"""Graphs for tests in one line a node: values, calls, maps. What they make are ordinary graph values."""

from __future__ import annotations

from typing import Any

from tidemill.graph.nodes import Graph, Group, Node, TaskRef
from tidemill.graph.policy import Policy
from tidemill.graph.values import Constant, Expr, Handle, Ref, Several, Shape
from tidemill.machine.resolve import plain_handle

PLAIN = Policy()


def value(data: Any, *, shaped: bool = True) -> Handle:
    """A stored JSON value. `shaped`: its truth, length and keys are known without asking a worker."""
    handle = plain_handle(data)
    if not shaped:
        return handle
    shape = Shape(truth=bool(data))
    if isinstance(data, (list, tuple)):
        shape = Shape(truth=bool(data), length=len(data), kind="list")
    elif isinstance(data, dict):
        shape = Shape(truth=bool(data), length=len(data), keys=tuple(map(str, data)), kind="dict")
    return Handle(handle.codec, handle.digest, handle.size, data=handle.data, type=handle.type, shape=shape)


def expr(given: Any) -> Expr:
    """`given` as an expression: nodes and groups are read, expressions stay, anything else is a constant."""
    if isinstance(given, (Node, Group)):
        return Ref(given.key)
    if isinstance(given, list) and any(isinstance(item, (Node, Group, Ref)) for item in given):
        return Several("list", tuple(expr(item) for item in given))
    if isinstance(given, (Constant, Ref, Several)) or type(given).__module__ == "tidemill.graph.values":
        return given  # type: ignore[no-any-return]
    return Constant(value(given))


def call(key: str, /, *args: Any, task: str = "value", policy: Policy = PLAIN, over: tuple[str, ...] = (), **rest: Any) -> Node:
    """The node `key`: a call of `task` with `args` as parameters a, b, c, … `rest` are further fields of the node."""
    named = {chr(ord("a") + at): expr(given) for at, given in enumerate(args)}
    return Node(key=key, task=TaskRef("tests", task), args=named, over=over, policy=policy, **rest)


def each(key: str, *args: Any, **rest: Any) -> Node:
    """The node `key`, mapped over its first argument."""
    return call(key, *args, over=("a",), **rest)


def flow(*parts: Node | Group, output: Any = None, **rest: Any) -> Graph:
    """The graph of these nodes and groups, named "flow"."""
    nodes = tuple(part for part in parts if isinstance(part, Node))
    groups = tuple(part for part in parts if isinstance(part, Group))
    return Graph(flow="flow", nodes=nodes, groups=groups, output=None if output is None else expr(output), **rest)

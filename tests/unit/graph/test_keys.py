"""Digests of graphs: equal graphs have equal ones, others do not."""

from __future__ import annotations

import msgspec

from tidemill.graph.keys import graph_digest
from tidemill.graph.nodes import Graph, Node, TaskRef
from tidemill.graph.values import Constant, Handle

ONE, TWO = (Constant(Handle("json", digit * 64, 1)) for digit in "12")


def graph(args: dict[str, Constant]) -> Graph:
    return Graph(flow="f", nodes=(Node(key="a", task=TaskRef("m", "a"), args=args),))


def test_equal_graphs_have_equal_digests_in_whatever_order_their_arguments_were_written() -> None:
    assert graph({"x": ONE, "y": TWO}) == graph({"y": TWO, "x": ONE})
    assert graph_digest(graph({"x": ONE, "y": TWO})) == graph_digest(graph({"y": TWO, "x": ONE}))


def test_a_graph_that_was_stored_and_read_has_the_same_digest() -> None:
    made = graph({"x": ONE})
    assert graph_digest(msgspec.json.decode(msgspec.json.encode(made), type=Graph)) == graph_digest(made)


def test_any_difference_makes_another_digest() -> None:
    made = [graph({"x": ONE}), graph({"x": TWO}), graph({"y": ONE}), graph({}), msgspec.structs.replace(graph({}), fail_fast=True)]
    assert len({graph_digest(one) for one in made}) == len(made)


def test_a_digest_never_changes() -> None:
    assert graph_digest(Graph(flow="f", nodes=())) == "ff05bd1a0d8eddf98635a711e06abb7b98bb3afd6406376b90d31dbf1c9c8daa"

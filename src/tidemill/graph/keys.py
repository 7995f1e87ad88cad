"""Digests of values: what is equal has the same one, everywhere and for ever. Knows no database."""

from __future__ import annotations

import msgspec
from blake3 import blake3

from tidemill.graph.nodes import Graph

__all__ = ["graph_digest"]

_ENCODER = msgspec.json.Encoder(order="deterministic")


def graph_digest(graph: Graph) -> str:
    """BLAKE3 of the graph's canonical JSON (dict keys sorted), 64 hex digits: equal graphs have equal digests."""
    return blake3(_ENCODER.encode(graph)).hexdigest()

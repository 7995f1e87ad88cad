"""Partitions: slices of data in time and by key, and the algebra of sets of them.

Law: a set is runs of numbers, never a list of keys; what reads a clock is handed `now`. `dimensions` are what people declare, `spaces`
what they stand for, `sets` the algebra, `texts` how sets are written, `links` which partitions read which, `completeness` and
`backfills` what is ready and what is left to do.
"""

from tidemill.graph.partitions.backfills import Progress, ProgressReport, Stretch, Todo, todo
from tidemill.graph.partitions.dimensions import (
    Dimension,
    Dynamic,
    Partitions,
    Registry,
    Static,
    TimeDimension,
    Windows,
    daily,
    dynamic,
    hourly,
    monthly,
    partitions_of,
    static,
    weekly,
    windows,
)
from tidemill.graph.partitions.links.completeness import Completeness, Need, complete, newly_ready
from tidemill.graph.partitions.links.link import Link, Rule, link
from tidemill.graph.partitions.links.rules import ALL, IDENTITY, LATEST, OVERLAP, custom, shift, window
from tidemill.graph.partitions.problems import BadPartition, BadPartitions, MappingMisfit, OtherPartitions
from tidemill.graph.partitions.sets import Order, PartitionSet
from tidemill.graph.partitions.spaces import Space, space_of
from tidemill.graph.partitions.texts import from_json, from_ranges, parse, text, to_json, to_ranges

__all__ = [
    "ALL",
    "IDENTITY",
    "LATEST",
    "OVERLAP",
    "BadPartition",
    "BadPartitions",
    "Completeness",
    "Dimension",
    "Dynamic",
    "Link",
    "MappingMisfit",
    "Need",
    "Order",
    "OtherPartitions",
    "PartitionSet",
    "Partitions",
    "Progress",
    "ProgressReport",
    "Registry",
    "Rule",
    "Space",
    "Static",
    "Stretch",
    "TimeDimension",
    "Todo",
    "Windows",
    "complete",
    "custom",
    "daily",
    "dynamic",
    "from_json",
    "from_ranges",
    "hourly",
    "link",
    "monthly",
    "newly_ready",
    "parse",
    "partitions_of",
    "shift",
    "space_of",
    "static",
    "text",
    "to_json",
    "to_ranges",
    "todo",
    "weekly",
    "window",
    "windows",
]

"""What people meet when partitions are defined, named or mapped wrongly. Decides nothing."""

from __future__ import annotations

from tidemill.errors import Problem

__all__ = ["BadPartition", "BadPartitions", "MappingMisfit", "OtherPartitions"]


class BadPartitions(Problem):
    """Partitions that cannot be what their definition says."""

    code = "bad-partitions"


class BadPartition(Problem):
    """A partition key, or a range of them, that an asset does not have."""

    code = "bad-partition"


class MappingMisfit(Problem):
    """Partitions of two assets that no mapping joins."""

    code = "mapping-misfit"


class OtherPartitions(Problem):
    """Two sets of partitions that do not speak of the same dimensions."""

    code = "other-partitions"

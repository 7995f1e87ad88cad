"""What a node publishes: the asset, and all that its version's key is made of besides the versions of its inputs. Plain values."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from tidemill.graph.values import Handle

Severity: TypeAlias = Literal["warn", "error"]


class Publication(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The node's result is a version of `asset`. Its key: these parts, and per input parameter the version it was given."""

    asset: str
    parts: dict[str, str] = {}  # "code shop.clean" → digest, "package polars" → "2.1.0", "setting limit" → "100"
    inputs: dict[str, str] = {}  # parameter → name of the asset it reads
    partition: str = ""
    expires_after: float | None = None  # seconds for which a version holds
    forced: str = ""  # why it is computed whatever is remembered


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one check found in one result, before it was published."""

    name: str
    passed: bool
    severity: Severity = "error"
    message: str = ""  # what was found, for people
    failed_rows: int | None = None
    of_rows: int | None = None


class RefRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an environment shows of an asset (and partition): a pointer to a version. Moving it is what publishing means."""

    environment: str
    asset: str
    partition: str = ""
    version: str  # the content: equal versions are equal data
    key: str  # what it was computed from: finds the parts
    handle: Handle
    at: float  # when the pointer was moved
    run: str = ""
    place: str = ""
    because: str = ""
    before: str = ""  # the version that was shown until then
    seq: int = 0  # of a move in the history: its place there; given by the store


class Environment(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A map from assets to versions. What it does not say itself, its parent says."""

    name: str
    parent: str = ""
    created_at: float = 0.0
    protected: bool = False  # runs do not publish into it; only promotion does


def version_of(handle: Handle) -> str:
    """What tells versions of an asset apart: the digest of the data where there is one, else that of the bytes."""
    return handle.content or handle.digest


def short_version(version: str, digits: int = 12) -> str:
    """The beginning of a version, for people: what says how it was digested ("rows-1:") is left out."""
    return version.rpartition(":")[2][:digits]


def begins(version: str, text: str) -> bool:
    """Whether `text` is how a version begins, whole or as `short_version` shows it."""
    return bool(text) and (version.startswith(text) or version.rpartition(":")[2].startswith(text))

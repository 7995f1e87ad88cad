"""The key of a computation: a digest over named parts. Two keys differ in parts that can be named, and that is the reason.

Parts are text by name: "code shop.clean", "package polars", "setting limit", "input orders", "partition day".
"""

from __future__ import annotations

from collections.abc import Mapping

import blake3
import msgspec

from tidemill.graph.assets import short_version

Parts = Mapping[str, str]

_encode = msgspec.json.encode


def key_of(node: str, parts: Parts) -> str:
    """The key: the same for the same node and parts, in whatever order, on every machine."""
    return blake3.blake3(_encode((node, sorted(parts.items())))).hexdigest()


def difference(before: Parts, now: Parts) -> tuple[str, ...]:
    """What changed between two sets of parts, in words, the most telling first. Empty when nothing did."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    added = [name for name in now if name not in before]
    removed = [name for name in before if name not in now]
    words = [_changed(name, before[name], now[name]) for name in changed]
    words += [f"{_noun(name)} is new" for name in added]
    words += [f"{_noun(name)} is gone" for name in removed]
    order = {"code": 0, "package": 1, "setting": 2, "partition": 3, "token": 4, "input": 5}
    kinds = [*changed, *added, *removed]
    ranked = sorted(range(len(words)), key=lambda at: (order.get(kinds[at].partition(" ")[0], 9), kinds[at]))
    return tuple(words[at] for at in ranked)


def _changed(name: str, before: str, now: str) -> str:
    kind = name.partition(" ")[0]
    if kind == "code":
        return f"{_noun(name)} changed"
    if kind == "input":
        return f"{_noun(name)} has a new version ({short_version(before, 8)} → {short_version(now, 8)})"
    return f"{_noun(name)} changed from {before} to {now}"


def _noun(name: str) -> str:
    kind, _, rest = name.partition(" ")
    if kind == "code":
        return f"the code of {rest}" if rest else "its code"
    return f"{kind} {rest}".strip()

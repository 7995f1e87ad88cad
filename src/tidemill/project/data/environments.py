"""Branches of data: what differs between two environments, and moving from one to another what still holds there.

A promotion is a plan against the target as it is now: whatever was computed from exactly what the target shows moves by its
pointer; the rest is listed as work. Nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from tidemill.errors import Problem
from tidemill.graph.assets import RefRow, begins, short_version, version_of
from tidemill.plan.keys import difference
from tidemill.plan.values import Decision, State
from tidemill.ports import MemoRow, Page
from tidemill.project.assets import PROMOTED, ROLLED_BACK, Assets

__all__ = ["Change", "NothingToPromote", "Promotion", "UnknownVersion", "changes", "differing", "promote", "promotion", "roll_back"]


class Change(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How one asset differs between two environments."""

    asset: str
    kind: Literal["added", "removed", "changed"]
    before: str = ""  # version
    after: str = ""
    rows_before: int | None = None
    rows_after: int | None = None
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: tuple[str, ...] = ()
    because: tuple[str, ...] = ()  # what they were computed from, compared


class Promotion(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What promoting would do: pointers that move, work that is left, and what is as it should be already."""

    moves: list[RefRow]
    work: list[Decision]
    same: list[str]


class NothingToPromote(Problem):
    """Every asset is in the target already."""

    code = "nothing-to-promote"

    def __init__(self, target: str) -> None:
        mend = "See what differs with: tidemill env diff"
        super().__init__(f"{target} shows all of it already.", why="No pointer would move.", mend=mend)


class UnknownVersion(Problem):
    """A version of an asset that was never published."""

    code = "unknown-version"

    def __init__(self, asset: str, version: str, known: Sequence[str]) -> None:
        super().__init__(
            f"{asset} has no version that begins with {version!r}, or more than one.",
            why=f"Its last versions: {', '.join(short_version(one) for one in known) or 'none'}.",
            mend=f"See them with: tidemill show {asset}",
        )


def changes(before: Assets, after: Assets) -> list[Change]:
    """What `after` shows otherwise than `before`, by name."""
    keys = [ref.key for ref in (*before.shown.values(), *after.shown.values())]
    memos = before.store.memos(list(dict.fromkeys(key for key in keys if key)))
    found = []
    for name in sorted(before.shown.keys() | after.shown.keys()):
        old, new = before.shown.get(name), after.shown.get(name)
        if old is not None and new is not None and old.version == new.version:
            continue
        found.append(_change(name, old, new, memos))
    return found


def _change(name: str, old: RefRow | None, new: RefRow | None, memos: dict[str, MemoRow]) -> Change:
    if old is None or new is None:
        ref = old or new
        assert ref is not None
        return Change(
            asset=name, kind="removed" if new is None else "added", before=old.version if old else "", after=new.version if new else "",
            rows_before=old.handle.rows if old else None, rows_after=new.handle.rows if new else None,
        )  # fmt: skip
    then, now = dict(old.handle.schema or ()), dict(new.handle.schema or ())
    told = memos.get(old.key), memos.get(new.key)
    return Change(
        asset=name,
        kind="changed",
        before=old.version,
        after=new.version,
        rows_before=old.handle.rows,
        rows_after=new.handle.rows,
        columns_added=tuple(column for column in now if column not in then),
        columns_removed=tuple(column for column in then if column not in now),
        columns_retyped=tuple(f"{one}: {then[one]} → {now[one]}" for one in now if one in then and then[one] != now[one]),
        because=difference(told[0].parts, told[1].parts) if told[0] and told[1] else (),
    )


def differing(source: Assets, target: Assets) -> list[str]:
    """Names of the assets of which `source` shows another version than `target`, or one of other code; sources are not among them."""
    return [
        name for name, ref in source.shown.items()
        if name in target.entries and target.entries[name].kind != "source"
        and ((there := target.shown.get(name)) is None or (there.version, there.key) != (ref.version, ref.key))
    ]  # fmt: skip


def promotion(target: Assets, names: Sequence[str]) -> Promotion:
    """What promoting `names` into the environment of `target` would do. Its keys are computed against what that shows now."""
    plan = target.plan(names)
    linked = [one for one in plan.decisions if one.state is State.LINK]
    memos = target.store.memos([one.key for one in linked])
    moves = []
    for one in linked:
        memo = memos[one.key]
        moves.append(
            RefRow(
                environment=target.environment,
                asset=one.name,
                version=version_of(memo.handle),
                key=one.key,
                handle=memo.handle,
                at=target.now,
                run=memo.run,
                because=PROMOTED,
            )
        )
    work = [one for one in plan.decisions if one.state in (State.RUN, State.MAYBE, State.WAIT, State.BLOCKED)]
    return Promotion(moves=moves, work=work, same=[one.name for one in plan.decisions if one.state is State.OK])


def promote(target: Assets, found: Promotion) -> list[RefRow]:
    """Move the pointers of a promotion, all or none. Raises `Moved` when the target shows something else by now."""
    if not found.moves:
        raise NothingToPromote(target.environment)
    expected = {(ref.asset, ref.partition): target.shown[ref.asset].version if ref.asset in target.shown else "" for ref in found.moves}
    return target.store.publish(found.moves, expected=expected)


def roll_back(target: Assets, asset: str, version: str) -> RefRow:
    """Show an earlier version of `asset` again: the one that begins with `version`. Raises `UnknownVersion`."""
    past = target.store.versions(asset, Page(limit=1000))
    fitting = {ref.version: ref for ref in reversed(past) if begins(ref.version, version)}
    if len(fitting) != 1:
        raise UnknownVersion(asset, version, list(dict.fromkeys(ref.version for ref in past))[:5])
    (chosen,) = fitting.values()
    moved = msgspec.structs.replace(chosen, environment=target.environment, at=target.now, because=ROLLED_BACK, before="")
    shown = target.shown.get(asset)
    target.store.publish([moved], expected={(asset, ""): shown.version if shown else ""})
    return moved

"""One asset: reuse, link, run, perhaps, or not; and why. The planner's only judgement."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.graph.assets import short_version
from tidemill.plan.keys import difference, key_of
from tidemill.plan.values import Decision, Defined, History, Known, Remembered, Shown, State

NEVER = "it was never built here"
REJECTED = "it was rolled back from {}, which is what would come out of it again"


def decide(asset: Defined, before: Mapping[str, Decision], known: Known) -> Decision:
    """What would become of `asset`, given the decisions on its inputs."""
    shown = known.shown.get(asset.name)
    history = known.history.get(asset.name, History())
    if asset.source:
        return _source(asset, shown)
    if asset.held:
        return _decision(asset, State.HELD, (asset.held,), history, version=shown.version if shown else "", likely=0.0)
    blocked = tuple(f"input {name} {_lack(before[name])}" for name in asset.inputs.values() if before[name].state is State.BLOCKED)
    if blocked:
        return _decision(asset, State.BLOCKED, blocked, history, likely=0.0)
    waiting = tuple(f"input {name} waits" for name in asset.inputs.values() if before[name].state is State.WAIT)
    if asset.waits or waiting:
        return _decision(asset, State.WAIT, (asset.waits, *waiting) if asset.waits else waiting, history, likely=0.0)
    open_inputs = [name for name in asset.inputs.values() if before[name].state in (State.RUN, State.MAYBE)]
    if open_inputs:
        return _open(asset, open_inputs, before, known, shown, history)
    return _closed(asset, before, known, shown, history)


def parts_of(asset: Defined, versions: Mapping[str, str]) -> dict[str, str]:
    """All parts of the key of `asset`: its own, and the version of each input."""
    parts = dict(asset.parts)
    for parameter, name in asset.inputs.items():
        parts[f"input {parameter}"] = versions[name]
    return parts


def _closed(asset: Defined, before: Mapping[str, Decision], known: Known, shown: Shown | None, history: History) -> Decision:
    """All inputs are known, so the key is."""
    parts = parts_of(asset, {name: before[name].version for name in asset.inputs.values()})
    key = key_of(asset.name, parts)
    if asset.forced:
        return _decision(asset, State.RUN, (asset.forced,), history, key=key, parts=parts)
    memo = known.memos.get(key)
    if memo is not None and not memo.gone and not (old := _expired(asset, shown, key, known)):
        if shown is not None and shown.version == memo.version:
            return _decision(asset, State.OK, (), history, key=key, parts=parts, version=memo.version, likely=0.0)
        if shown is not None and shown.rejected == memo.version:
            return _decision(asset, State.HELD, (REJECTED.format(short_version(memo.version)),), history, version=shown.version, likely=0.0)
        return _decision(
            asset, State.LINK, ("computed before from exactly this",), history, key=key, parts=parts, version=memo.version, likely=0.0
        )
    reasons = (old,) if memo is not None and not memo.gone else _reasons(known, shown, parts, memo)
    return _decision(asset, State.RUN, reasons, history, key=key, parts=parts)


def _open(
    asset: Defined, open_inputs: list[str], before: Mapping[str, Decision], known: Known, shown: Shown | None, history: History
) -> Decision:
    """Some input is not known yet. What is known may be reason enough to run."""
    if asset.forced:
        return _decision(asset, State.RUN, (asset.forced,), history)
    if shown is None:
        return _decision(asset, State.RUN, (NEVER,), history)
    last = known.memos.get(shown.key)
    versions = {name: before[name].version for name in asset.inputs.values()}
    if last is not None:
        unknown = {f"input {parameter}" for parameter, name in asset.inputs.items() if name in open_inputs}
        old = {name: value for name, value in last.parts.items() if name not in unknown}
        now = {name: value for name, value in parts_of(asset, versions).items() if name not in unknown}
        if reasons := difference(old, now):
            return _decision(asset, State.RUN, reasons, history)
    stays = 1.0
    for name in open_inputs:
        stays *= 1.0 - before[name].likely * _changes(known.history.get(name, History()))
    because = tuple(f"input {name} may change" for name in open_inputs)
    return _decision(asset, State.MAYBE, because, history, likely=1.0 - stays)


def _source(asset: Defined, shown: Shown | None) -> Decision:
    if asset.waits:
        return Decision(name=asset.name, state=State.WAIT, because=(asset.waits,), likely=0.0)
    if shown is None:
        return Decision(name=asset.name, state=State.BLOCKED, because=("it was never observed",), likely=0.0)
    return Decision(name=asset.name, state=State.OK, version=shown.version, likely=0.0)


def _expired(asset: Defined, shown: Shown | None, key: str, known: Known) -> str:
    if asset.expires_after is None or shown is None or shown.key != key or known.now < shown.at + asset.expires_after:
        return ""
    return f"it is older than {asset.expires_after:g} s"


def _reasons(known: Known, shown: Shown | None, parts: Mapping[str, str], memo: Remembered | None) -> tuple[str, ...]:
    if memo is not None:
        return ("its stored result is missing",)
    if shown is None:
        return (NEVER,)
    last = known.memos.get(shown.key)
    if last is None:
        return ("it is not known what the version that is shown was computed from",)
    return difference(last.parts, parts) or ("what it was computed from is not the same",)


def _changes(history: History) -> float:
    """How likely a rerun comes out differently: the rule of succession."""
    return (history.changed + 1) / (history.reruns + 2)


def _lack(decision: Decision) -> str:
    return f"has no version: {decision.because[0]}" if decision.because else "has no version"


def _decision(
    asset: Defined, state: State, because: tuple[str, ...], history: History, *, key: str = "", parts: dict[str, str] | None = None,
    version: str = "", likely: float = 1.0,
) -> Decision:  # fmt: skip
    runs = state in (State.RUN, State.MAYBE)
    return Decision(
        name=asset.name, state=state, because=because, likely=likely, key=key, version=version, parts=parts or {},
        seconds=history.seconds if runs else None, slow_seconds=history.slow_seconds if runs else None,
    )  # fmt: skip

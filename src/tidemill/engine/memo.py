"""Keys of remembered results: what a task with `cache=` computes from, digested. It looks nothing up itself."""

from __future__ import annotations

from collections.abc import Iterable

import blake3
import msgspec

from tidemill.graph.values import At, Constant, Expr, Several
from tidemill.graph.work import Instant
from tidemill.machine.events import Event, Settled
from tidemill.machine.resolve import job as make_job
from tidemill.machine.resolve import spread
from tidemill.machine.run import Place, Run
from tidemill.ports import MemoRow

FOR_EVER = -1.0


class Memory:
    """Remembers which key each unit of a cached task was looked up under."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], dict[int, str]] = {}
        self._parts: dict[str, dict[str, str]] = {}

    def keys(self, run: Run, place: Place, units: Iterable[int]) -> dict[int, str]:
        """The key of each unit: its task, the task's version, and the digests of its arguments."""
        job = make_job(run, place)
        each = spread(run, place)
        fixed = {name: digest(expr) for name, expr in job.args.items()}
        found: dict[int, str] = {}
        for n in units:
            parts = {"task": job.task.name, "version": job.task.version, **{f"argument {name}": text for name, text in fixed.items()}}
            for name, at in job.over.items():
                parts[f"argument {name}"] = digest(At(at.handle, (*at.path, ("nth", n))))
            for name, several in each.items():
                parts[f"argument {name}"] = digest(several.items[n])
            key = found[n] = blake3.blake3(msgspec.json.encode(sorted(parts.items()))).hexdigest()
            self._parts[key] = parts
        self._keys.setdefault((run.id, place.path), {}).update(found)
        return found

    def rows(self, run: Run, place: Place, events: Iterable[Event], now: Instant) -> list[MemoRow]:
        """What is to be remembered of the outcomes that were accepted."""
        outcomes = [outcome for event in events if isinstance(event, Settled) for outcome in event.outcomes]
        keys = self._keys.get((run.id, place.path), {})
        cache = place.policy.cache
        expires = None if cache is None or cache == FOR_EVER else now + cache
        return [
            MemoRow(
                key=keys[outcome.n], node=place.node.task.name if place.node else "", handle=outcome.handle, at=now, run=run.id,
                parts=self._parts.get(keys[outcome.n], {}), seconds=outcome.ended - outcome.started, expires_at=expires,
            )
            for outcome in outcomes
            if outcome.handle is not None and outcome.n in keys
        ]  # fmt: skip

    def forget(self, run: str) -> None:
        """The run has ended."""
        for key in [key for key in self._keys if key[0] == run]:
            for memo in self._keys.pop(key).values():
                self._parts.pop(memo, None)


def digest(expr: Expr) -> str:
    """What a resolved expression is, by content: equal values give equal text."""
    if isinstance(expr, At):
        return expr.handle.digest + "".join(f"/{kind}:{key}" for kind, key in expr.path)
    if isinstance(expr, Constant):
        return expr.handle.digest
    if isinstance(expr, Several):
        return f"{expr.kind}({','.join(map(digest, expr.items))};{','.join(expr.names)})"
    return "nothing"

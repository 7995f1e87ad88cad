"""Keys of remembered results: what an asset, or a task with `cache=`, is computed from. And what is published of them.

It looks nothing up itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import blake3
import msgspec

from tidemill.graph.assets import Publication, RefRow, version_of
from tidemill.graph.values import At, Constant, Expr, Handle, Several
from tidemill.graph.work import Instant
from tidemill.machine.events import Event, Reused, Settled
from tidemill.machine.resolve import job as make_job
from tidemill.machine.resolve import spread
from tidemill.machine.run import Place, Run
from tidemill.plan.keys import key_of
from tidemill.ports import Commit, MemoRow

FOR_EVER = -1.0


class Memory:
    """Remembers which key each unit was computed under."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], dict[int, str]] = {}
        self._parts: dict[str, dict[str, str]] = {}

    @staticmethod
    def concerns(place: Place) -> bool:
        """Whether results of `place` are remembered at all."""
        return place.policy.cache is not None or (place.node is not None and place.node.publishes is not None)

    @staticmethod
    def forced(place: Place) -> bool:
        """Whether it is computed whatever is remembered."""
        return place.node is not None and place.node.publishes is not None and bool(place.node.publishes.forced)

    def keys(self, run: Run, place: Place, units: Iterable[int]) -> dict[int, str]:
        """The key of each unit: its task, the task's version, and the digests of its arguments; of an asset its publication's parts."""
        job = make_job(run, place)
        if place.node is not None and place.node.publishes is not None:
            return self._asset_key(run, place, place.node.publishes, job.args)
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

    def _asset_key(self, run: Run, place: Place, publication: Publication, args: Mapping[str, Expr]) -> dict[int, str]:
        parts = dict(publication.parts)
        if publication.partition:
            parts["partition"] = publication.partition
        parts.update({f"input {name}": digest(args[name]) for name in publication.inputs})
        key = key_of(publication.asset, parts)
        self._parts[key] = parts
        self._keys[run.id, place.path] = {0: key}
        return {0: key}

    def write(self, run: Run, place: Place, commit: Commit, events: Iterable[Event], env_and_now: tuple[str, Instant]) -> bool:
        """Add to `commit` what is to be remembered and published of `events`. Whether something is published."""
        environment, now = env_and_now
        commit.memos += self.rows(run, place, events, now)
        commit.refs += self.published(run, place, events, environment, now)
        return bool(commit.refs)

    def rows(self, run: Run, place: Place, events: Iterable[Event], now: Instant) -> list[MemoRow]:
        """What is to be remembered of the outcomes that were accepted."""
        outcomes = [outcome for event in events if isinstance(event, Settled) for outcome in event.outcomes]
        keys = self._keys.get((run.id, place.path), {})
        cache = place.policy.cache
        publication = place.node.publishes if place.node else None
        if publication is not None:
            cache = publication.expires_after
        expires = None if cache is None or cache == FOR_EVER else now + cache
        node = publication.asset if publication else place.node.task.name if place.node else ""
        return [
            MemoRow(
                key=keys[outcome.n], node=node, handle=outcome.handle, at=now, run=run.id,
                parts=self._parts.get(keys[outcome.n], {}), seconds=outcome.ended - outcome.started, expires_at=expires,
            )
            for outcome in outcomes
            if outcome.handle is not None and outcome.n in keys
        ]  # fmt: skip

    def published(self, run: Run, place: Place, events: Iterable[Event], environment: str, now: Instant) -> list[RefRow]:
        """The pointers that move with `events`: results that were accepted, computed now or before."""
        publication = place.node.publishes if place.node else None
        key = self._keys.get((run.id, place.path), {}).get(0, "")
        if publication is None or not key:
            return []
        found: list[tuple[Handle, str]] = []
        for event in events:
            if isinstance(event, Settled) and event.place == place.path:
                found += [(outcome.handle, "computed") for outcome in event.outcomes if outcome.handle is not None]
            elif isinstance(event, Reused) and event.place == place.path:
                found += [(handle, event.because) for _, handle in event.units]
        return [
            RefRow(
                environment=environment, asset=publication.asset, partition=publication.partition, version=version_of(handle), key=key,
                handle=handle, at=now, run=run.id, place=place.path, because=because,
            )
            for handle, because in found
        ]  # fmt: skip

    def forget(self, run: str) -> None:
        """The run has ended."""
        for key in [key for key in self._keys if key[0] == run]:
            for memo in self._keys.pop(key).values():
                self._parts.pop(memo, None)


def digest(expr: Expr) -> str:
    """What a resolved expression is, by content: equal values give equal text."""
    if isinstance(expr, At):
        return version_of(expr.handle) + "".join(f"/{kind}:{key}" for kind, key in expr.path)
    if isinstance(expr, Constant):
        return version_of(expr.handle)
    if isinstance(expr, Several):
        return f"{expr.kind}({','.join(map(digest, expr.items))};{','.join(expr.names)})"
    return "nothing"

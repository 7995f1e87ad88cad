"""Pointers, their history and environments in the memory of this process. Its caller holds the lock.

Rows are copied on their way out; on their way in `pointers.moves` makes new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from tidemill.graph.assets import Environment, RefRow
from tidemill.ports import Page, Violation
from tidemill.store.audit import ref_without, without_parent
from tidemill.store.pages import after_version
from tidemill.store.pointers import DEFAULT, KEPT, Part, Pointer, differing, droppable, moves, pointer, standing
from tidemill.store.problems import Moved

_copy = msgspec.structs.replace


class MemoryAssets:
    """The verbs of `tidemill.ports.Store` that are about assets."""

    def __init__(self) -> None:
        self._environments: dict[str, Environment] = {}
        self._own: dict[str, dict[Part, RefRow]] = {}
        self._history: list[RefRow] = []

    def _line(self, environment: str) -> Iterator[str]:
        name = environment
        while name:
            yield name
            name = self._environments[name].parent if name in self._environments else ""

    def _seen(self, environment: str) -> dict[Part, RefRow]:
        found: dict[Part, RefRow] = {}
        for name in reversed(list(self._line(environment))):  # the nearest one speaks last
            found |= self._own.get(name, {})
        return found

    def _shows(self, environment: str, part: Part) -> RefRow | None:
        return next((own[part] for name in self._line(environment) if part in (own := self._own.get(name, {}))), None)

    def move(self, refs: Sequence[RefRow]) -> list[RefRow]:
        now: dict[Pointer, RefRow] = {}
        inherited: dict[Pointer, str] = {}
        for ref in refs:
            seen = self._shows(ref.environment, (ref.asset, ref.partition))
            if seen is not None and seen.environment == ref.environment:
                now[pointer(ref)] = seen
            elif seen is not None:
                inherited[pointer(ref)] = seen.version
        for ref in moves(refs, now, inherited):
            self._own.setdefault(ref.environment, {})[ref.asset, ref.partition] = ref
            self._history.append(_copy(ref, seq=len(self._history) + 1))
        return [_copy(now[pointer(ref)]) for ref in refs]

    def publish(self, refs: Sequence[RefRow], expected: Mapping[Part, str] | None) -> list[RefRow]:
        for environment in sorted({ref.environment for ref in refs}) if expected else ():
            shown = {part: ref.version for part in expected or () if (ref := self._shows(environment, part)) is not None}
            if wrong := differing(expected or {}, shown):
                raise Moved(environment, wrong)
        return self.move(refs)

    def shown(self, environment: str, assets: Collection[str] | None) -> list[RefRow]:
        wanted = None if assets is None else set(assets)
        return [_copy(ref) for part, ref in sorted(self._seen(environment).items()) if wanted is None or part[0] in wanted]

    def history(self, asset: str, page: Page, environment: str | None, partition: str | None) -> list[RefRow]:
        before = len(self._history) + 1 if page.after is None else after_version(page.after)
        found = (
            _copy(ref)
            for ref in reversed(self._history[: max(0, before - 1)])
            if ref.asset == asset and environment in (None, ref.environment) and partition in (None, ref.partition)
        )
        return [ref for ref, _ in zip(found, range(page.limit))]  # noqa: B905 - whichever is shorter

    def environments(self) -> list[Environment]:
        return [Environment(name=DEFAULT), *(_copy(one) for _, one in sorted(self._environments.items()))]

    def create(self, wanted: Environment) -> Environment:
        found = standing(wanted, self.environments())
        if found is None:
            found = self._environments[wanted.name] = _copy(wanted)
        return _copy(found)

    def drop(self, name: str) -> None:
        droppable(name, self.environments())
        del self._environments[name]
        self._own.pop(name, None)

    def kept(self) -> list[RefRow]:
        """What is shown anywhere, and of each partition its last versions."""
        found = [ref for own in self._own.values() for ref in own.values()]
        later = Counter[Part]()
        for ref in reversed(self._history):
            later[ref.asset, ref.partition] += 1
            if later[ref.asset, ref.partition] <= KEPT:
                found.append(ref)
        return found

    def audit(self, keys: Collection[str]) -> list[Violation]:
        moved = {(*pointer(ref), ref.version, ref.key) for ref in self._history}
        refs = [ref for _, own in sorted(self._own.items()) for _, ref in sorted(own.items())]
        found = [ref_without("memo", *pointer(ref)) for ref in refs if ref.key and ref.key not in keys]
        found += [ref_without("move", *pointer(ref)) for ref in refs if (*pointer(ref), ref.version, ref.key) not in moved]
        names = [one.name for one in self.environments()]
        return found + [without_parent(one.name, one.parent) for one in self.environments() if one.parent and one.parent not in names]

"""Which assets a person means: dbt's selection syntax over a graph of names. Knows names, edges and what is said of them; no store.

`revenue`, `+revenue` and all before it, `revenue+` and all after it, `2+revenue+1` so many steps, `@revenue` with all after it
and all that these need, `shop/*` by pattern, `tag:x group:x owner:x kind:x state:x` by what is said; `a b` either, `a,b` both.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from tidemill.errors import Problem, Unknown, nearest

__all__ = ["METHODS", "STATES", "BadSelection", "Catalog", "Entry", "Factor", "Selected", "Selection", "Term", "parse", "select"]

STATES = ("failed", "missing", "stale")
METHODS = ("name", "path", "tag", "group", "owner", "kind", "state")
_FACTOR = re.compile(r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?P<subject>[^@+]*[^@+\s])(?:\+(?P<down>\d*))?")
_WILD = re.compile(r"[*?]")


class BadSelection(Problem):
    """A text that selects nothing by any reading: a sign out of place, or an unknown method."""

    code = "bad-selection"


class Factor(msgspec.Struct, frozen=True, omit_defaults=True):
    """One subject and how far it reaches: steps `upstream` and `downstream`, -1 for all; `builders`: its readers and all that they read."""

    method: str
    value: str
    upstream: int = 0
    downstream: int = 0
    builders: bool = False


class Term(msgspec.Struct, frozen=True):
    """What all of these factors select."""

    factors: tuple[Factor, ...]


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """What any of these terms selects, without what any of `exclude` does. No terms: everything."""

    terms: tuple[Term, ...] = ()
    exclude: tuple[Term, ...] = ()
    text: str = ""


class Entry(msgspec.Struct, frozen=True):
    """What a selection can ask of one name."""

    upstream: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str = ""
    owner: str = ""
    kind: str = "asset"
    states: tuple[str, ...] = ()


class Selected(msgspec.Struct, frozen=True):
    """The names, upstream first; and if there are none, a sentence that says why."""

    names: tuple[str, ...]
    message: str = ""


class Catalog:
    """All names with their edges and attributes, indexed once: selecting then takes time by what is selected.

    `states` are the words that may be asked for; a name that is one of them is still a name.
    Upstream names that are not in the catalog are passed over. A cycle does not hang: its names come last, in their given order.
    """

    def __init__(self, entries: Mapping[str, Entry], states: Iterable[str] = STATES) -> None:
        self.entries = dict(entries)
        self.names = list(self.entries)
        place = {name: at for at, name in enumerate(self.names)}
        self.upstream = [[place[up] for up in entry.upstream if up in place] for entry in self.entries.values()]
        self.downstream: list[list[int]] = [[] for _ in self.names]
        for at, ups in enumerate(self.upstream):
            for up in ups:
                self.downstream[up].append(at)
        self.place = place
        self.rank = self._ranks()
        self.values = self._values(states)
        self._sorted = sorted(self.names)

    def _ranks(self) -> list[int]:
        """The place of each name in topological order (A. B. Kahn, 1962)."""
        missing = [len(ups) for ups in self.upstream]
        order = [at for at, count in enumerate(missing) if not count]
        for at in order:
            for down in self.downstream[at]:
                missing[down] -= 1
                if not missing[down]:
                    order.append(down)
        order += [at for at, count in enumerate(missing) if count]
        rank = [0] * len(order)
        for place, at in enumerate(order):
            rank[at] = place
        return rank

    def _values(self, states: Iterable[str]) -> dict[str, dict[str, list[int]]]:
        """By method and value, who has it."""
        found: dict[str, dict[str, list[int]]] = {method: {} for method in METHODS}
        found["state"] = {state: [] for state in states}
        for at, entry in enumerate(self.entries.values()):
            for method, values in (
                ("tag", entry.tags), ("state", entry.states), ("group", (entry.group,)), ("owner", (entry.owner,)), ("kind", (entry.kind,)),
            ):  # fmt: skip
                for value in values:
                    if value:
                        found[method].setdefault(value, []).append(at)
        return found

    def below(self, folder: str) -> Iterable[str]:
        """The names that begin with a text."""
        at = bisect_left(self._sorted, folder)
        while at < len(self._sorted) and self._sorted[at].startswith(folder):
            yield self._sorted[at]
            at += 1


Chosen: TypeAlias = set[int]


def parse(texts: str | Sequence[str] = (), exclude: str | Sequence[str] = ()) -> Selection:
    """The selection that texts mean; none means everything. Raises `BadSelection`."""
    return Selection(_terms(texts), _terms(exclude), _shown(texts, exclude))


def _terms(texts: str | Sequence[str]) -> tuple[Term, ...]:
    words = [word for text in ([texts] if isinstance(texts, str) else texts) for word in re.sub(r"\s*,\s*", ",", text).split()]
    return tuple(Term(tuple(_factor(part, word) for part in word.split(","))) for word in words)


def _shown(texts: str | Sequence[str], exclude: str | Sequence[str]) -> str:
    shown = " ".join([texts] if isinstance(texts, str) else texts)
    without = " ".join([exclude] if isinstance(exclude, str) else exclude)
    return f"{shown or 'everything'} without {without}" if without else shown


def _factor(part: str, word: str) -> Factor:
    found = _FACTOR.fullmatch(part)
    if not found:
        raise BadSelection(
            f"{word!r} is not a selection.",
            why=f"{part!r} has no name, or a sign out of place." if part else "There is nothing before or after a comma.",
            mend="Write names, +a, a+, 2+a, a+3, @a, tag:x, or a,b for what is in both.",
        )
    method, colon, value = found["subject"].partition(":")
    if not colon:
        method, value = ("path" if _WILD.search(method) or method.endswith("/") else "name"), method
    if method not in METHODS or not value:
        guess = nearest(method, METHODS)
        raise BadSelection(
            f"{part!r} asks by {method!r}, which is no method." if method not in METHODS else f"{part!r} has nothing after the colon.",
            why=f"Methods are {', '.join(f'{each}:' for each in METHODS)} — and a name alone.",
            mend=f"Did you mean {guess}:{value}?" if guess and guess != method else "",
        )
    if found["at"] and (found["up"] is not None or found["down"] is not None):
        raise BadSelection(
            f"{part!r} has both '@' and '+'.",
            why="'@a' is a, all that reads it, and all that those read: there is no more to add.",
            mend=f"Write @{found['subject']}, or +{found['subject']}+.",
        )
    return Factor(method, value, _steps(found["up"]), _steps(found["down"]), bool(found["at"]))


def _steps(written: str | None) -> int:
    return 0 if written is None else int(written) if written else -1


def select(selection: Selection | str | Sequence[str], catalog: Catalog) -> Selected:
    """The names that a selection means, upstream first.

    Raises `Unknown` with the nearest guess for a name, tag, group, owner or kind that nothing has and for a state that is none, and
    `BadSelection` for a text that is no selection. A state that nothing is in, or a path that nothing is below, selects nothing.
    """
    if not isinstance(selection, Selection):
        selection = parse(selection)
    chosen = _any_of(selection.terms, catalog) if selection.terms else set(range(len(catalog.names)))
    left = chosen - _any_of(selection.exclude, catalog)
    names = tuple(catalog.names[at] for at in sorted(left, key=catalog.rank.__getitem__))
    return Selected(names, "" if names else _empty(selection, catalog, chosen))


def _any_of(terms: Iterable[Term], catalog: Catalog) -> Chosen:
    found: Chosen = set()
    for term in terms:
        found |= set.intersection(*(_reached(factor, catalog) for factor in term.factors))
    return found


def _reached(factor: Factor, catalog: Catalog) -> Chosen:
    """The subjects of a factor with their upstream and downstream."""
    subjects = _SUBJECTS.get(factor.method, _valued)(factor, catalog)
    if factor.builders:
        readers = _walk(subjects, catalog.downstream, -1)
        return _walk(readers, catalog.upstream, -1)
    found = set(subjects)
    if factor.upstream:
        found |= _walk(subjects, catalog.upstream, factor.upstream)
    if factor.downstream:
        found |= _walk(subjects, catalog.downstream, factor.downstream)
    return found


def _walk(start: Chosen, edges: Sequence[Sequence[int]], steps: int) -> Chosen:
    """All that is at most so many steps away; -1: at any distance."""
    found = set(start)
    edge = list(start)
    while edge and steps:
        steps -= 1
        following: list[int] = []
        for at in edge:
            for to in edges[at]:
                if to not in found:
                    found.add(to)
                    following.append(to)
        edge = following
    return found


def _named(factor: Factor, catalog: Catalog) -> Chosen:
    if _WILD.search(factor.value):
        return _below(factor, catalog)
    if (at := catalog.place.get(factor.value)) is None:
        if factor.value in catalog.values["state"]:
            return set(catalog.values["state"][factor.value])
        raise Unknown("asset or flow", factor.value, known=catalog.names, see="tidemill ls")
    return {at}


def _below(factor: Factor, catalog: Catalog) -> Chosen:
    """The names that a path means: all below a folder, or all that the pattern fits. "*" fits within a folder, "**" across them."""
    if not _WILD.search(factor.value):
        folder = factor.value.rstrip("/")
        exact = {catalog.place[folder]} if folder in catalog.place else set()
        return exact | {catalog.place[name] for name in catalog.below(folder + "/")}
    fixed, fits = _pattern(factor.value)
    return {catalog.place[name] for name in catalog.below(fixed) if fits(name)}


def _pattern(written: str) -> tuple[str, Callable[[str], object]]:
    """What a pattern's names begin with, and a test of them."""
    fixed = _WILD.split(written)[0]
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = (signs.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*|\?)", written))
    return fixed, re.compile("".join(parts), re.DOTALL).fullmatch


def _valued(factor: Factor, catalog: Catalog) -> Chosen:
    known = catalog.values[factor.method]
    if _WILD.search(factor.value):
        _, fits = _pattern(factor.value)
        return {at for value, having in known.items() if fits(value) for at in having}
    if factor.value not in known:
        raise Unknown(factor.method, factor.value, known=known)
    return set(known[factor.value])


_SUBJECTS: dict[str, Callable[[Factor, Catalog], Chosen]] = {"name": _named, "path": _below}


def _empty(selection: Selection, catalog: Catalog, chosen: Chosen) -> str:
    """Why nothing was selected."""
    if not catalog.names:
        return "There is nothing to select from yet."
    if chosen:
        return f"{selection.text}: all {len(chosen)} that were selected are excluded."
    return f"{selection.text}: nothing of {len(catalog.names)} fits."

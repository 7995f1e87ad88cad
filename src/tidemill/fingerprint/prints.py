"""`fingerprint`: what a function is, as a digest with the named parts that it was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from tidemill.errors import Problem
from tidemill.fingerprint.closure import Walk
from tidemill.fingerprint.live import functions_of
from tidemill.fingerprint.modules import spoken
from tidemill.fingerprint.sources import digest_of, stamp

__all__ = ["ALGORITHM", "CodePrint", "CodePrints", "NoFunction", "fingerprint"]

ALGORITHM = "code-1"


class NoFunction(Problem):
    """Something without Python code of its own was to be fingerprinted."""

    code = "no-function"

    def __init__(self, given: Any) -> None:
        super().__init__(
            f"{given!r} has no code that can be fingerprinted.",
            why="Only functions written in Python have: builtins, classes and functions of C libraries show none.",
            mend='Write a function around it, or say version="1" yourself.',
        )


class CodePrint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a function was made of when it was looked at. Two with one `digest` do the same.

    `parts` maps a full name ("shop.orders.clean", "shop.orders.RATE", "package polars") to its digest ("code:…",
    "value:…") or version; `sources` to its text; `uses` to the full names that it uses. `notes` say what was taken
    wider than usual, or could not be seen.
    """

    name: str  # of the function's own part
    module: str
    digest: str
    parts: dict[str, str] = {}
    sources: dict[str, str] = {}
    uses: dict[str, list[str]] = {}
    notes: list[str] = []


class CodePrints:
    """Fingerprints of many functions, remembered until a file that one was made of changes.

    `local` says of a module's name whether it is the project's (looked into) or a package's (its version counts, from
    `versions`, by the name it is imported as; asked once each). At objects for which `stop` is true the walk ends.
    """

    def __init__(
        self, *, local: Callable[[str], bool], versions: Callable[[str], str | None], stop: Callable[[Any], bool] | None = None
    ) -> None:
        self._local = local
        self._stop = stop
        self._given = versions
        self._asked: dict[str, str | None] = {}
        self._known: WeakKeyDictionary[Any, tuple[CodePrint, list[tuple[str, Any]]]] = WeakKeyDictionary()

    def of(self, function: Any) -> CodePrint:
        """The fingerprint of a function, or of what wraps one: a task, a flow, a partial, a method. Raises `NoFunction`."""
        found = functions_of(function)
        if not found:
            raise NoFunction(function)
        try:
            kept = self._known.get(function)
        except TypeError:  # it cannot be hashed
            kept = None
        if kept is not None and all(stamp(file) == mark for file, mark in kept[1]):
            return kept[0]
        walk = Walk(local=self._local, versions=self._versions, stop=self._stop)
        made = _printed(walk, walk.run(function, found[-1]), spoken(found[-1].__globals__))
        if walk.lasting:
            self._keep(function, made, walk)
        return made

    def _versions(self, package: str) -> str | None:
        if package not in self._asked:
            self._asked[package] = self._given(package)
        return self._asked[package]

    def _keep(self, function: Any, made: CodePrint, walk: Walk) -> None:
        try:
            self._known[function] = (made, list(walk.files.items()))
        except TypeError:  # it cannot be hashed or weakly referenced: made anew each time
            return


def fingerprint(
    function: Any, *, local: Callable[[str], bool], versions: Callable[[str], str | None], stop: Callable[[Any], bool] | None = None
) -> CodePrint:
    """What `function` is: see `CodePrints`, which remembers. Raises `NoFunction`.

    Equal for code that does the same as far as syntax tells, on Python 3.11 to 3.13: comments, docstrings, layout and
    places in files do not count. Names of functions and modules do.
    """
    return CodePrints(local=local, versions=versions, stop=stop).of(function)


def _printed(walk: Walk, name: str, module: str) -> CodePrint:
    parts: dict[str, str] = {}
    sources: dict[str, str] = {}
    for part, made in sorted(walk.parts.items()):
        digests = sorted(digest for digest, _ in made)
        kind = digests[0].partition(":")[0]
        parts[part] = digests[0] if len(digests) == 1 else f"{kind}:{digest_of(*digests)}"
        sources[part] = "\n\n".join(text for _, text in sorted(made) if text)
    parts |= {f"package {package}": version for package, version in sorted(walk.packages.items())}
    uses = {part: sorted(_part_of(one, parts) for one in found) for part, found in sorted(walk.uses.items()) if found and part in parts}
    texts = [text for part, digest in parts.items() for text in (part, digest)]
    return CodePrint(name, module, digest_of(ALGORITHM, name, *texts), parts, sources, uses, sorted(walk.notes))


def _part_of(target: str, parts: dict[str, str]) -> str:
    """The part that a full name belongs to: of a package's function, the package."""
    package = f"package {target.partition('.')[0]}"
    return package if target not in parts and package in parts else target

"""The walk from a function to all project code that it can be seen to reach, each piece with its digest.

Names are resolved through the modules' own statements, so that the result is the same in every process. Runs no user
code, imports nothing, and knows no live object but through `objects`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidemill.fingerprint.modules import Module, absolute, named, siblings, spoken
from tidemill.fingerprint.objects import Objects
from tidemill.fingerprint.scopes import Chain, Imported
from tidemill.fingerprint.sources import OWN, Facts, digest_of, stamp

__all__ = ["Walk"]

Trail = frozenset[tuple[str, str]]

_STANDARD = frozenset(sys.stdlib_module_names) | {"__future__"}
_OWN_MODULE = frozenset({"eval", "exec", "globals"})
# What can run code that no name leads to.
_PROJECT = frozenset({"__import__", "importlib.import_module", "importlib.__import__", "runpy.run_path", "runpy.run_module"})


class Walk:
    """One walk. `parts`, `uses`, `packages` and `notes` fill while `run` works through what it finds."""

    def __init__(
        self, *, local: Callable[[str], bool], versions: Callable[[str], str | None], stop: Callable[[Any], bool] | None = None
    ) -> None:
        self.parts: dict[str, list[tuple[str, str]]] = {}  # part → (digest, source) of each thing that goes by that name
        self.uses: dict[str, set[str]] = {}
        self.packages: dict[str, str] = {}
        self.notes: set[str] = set()
        self.files: dict[str, tuple[int, int, int] | None] = {}
        self.lasting = True  # False once something was looked into that may change without a file changing
        self._local = local
        self._versions = versions
        self._stop = stop
        self._objects = Objects(self)
        self._modules: dict[tuple[str, bool], Module | None] = {}
        self._followed: dict[tuple[str, bool, Chain], set[str]] = {}
        self._entry = ""  # the module of the entry is the project's, whatever `local` says of its name
        self._main = ""  # what `__main__` is called
        self._queued: set[Any] = set()
        self._queue: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def run(self, entry: Any, function: Any) -> str:
        """Walk everything from `entry`, whose innermost function is `function`. Returns the name of its part."""
        self._entry = spoken(function.__globals__)
        self._main = self._entry if function.__globals__.get("__name__") == "__main__" else ""
        self._stop, stop = None, self._stop  # the entry itself may be of the kind that one stops at
        self._objects.follow("", entry)
        self._stop = stop
        while self._queue:
            task, arguments = self._queue.pop()
            task(*arguments)
        return self._objects.function(function)

    def later(self, task: Callable[..., None], *arguments: Any) -> None:
        """Do it when its turn comes: recursion would end at deep call chains."""
        self._queue.append((task, arguments))

    def add(self, part: str, digest: str, source: str) -> None:
        known = self.parts.setdefault(part, [])
        if (digest, source) not in known:
            known.append((digest, source))

    def stops(self, value: Any) -> bool:
        return self._stop is not None and self._stop(value)

    # ------------------------------------------------------------ modules

    def is_local(self, name: str) -> bool:
        return name == self._entry or self._local(name)

    def module(self, name: str, *, hot: bool) -> Module | None:
        """The module; `hot` as it is loaded, so that what it holds now may be asked."""
        key = (name, hot)
        if key not in self._modules:
            found = named("__main__" if name == self._main else name, loaded=hot or name == self._main)
            self._modules[key] = found and found._replace(name=name)
            if found and found.file:
                self.files[found.file] = stamp(found.file)
        return self._modules[key]

    # ------------------------------------------------------------ names

    def follow(self, module: Module, chain: Chain, *, hot: bool, trail: Trail = frozenset()) -> set[str]:
        """The full names that `chain` leads to from inside `module`. What is the project's is put on the walk."""
        root, rest = chain[0], chain[1:]
        if isinstance(root, Imported):
            return self.attribute(absolute(root, module.package), (*(root.name.split() or ()), *rest), hot=False, trail=trail)
        bindings = module.source.names.get(root, ()) if module.source else ()
        if not bindings:
            return self._unbound(module, root, rest, hot=hot, trail=trail)
        found: set[str] = set()
        for one in bindings:
            if one.imported is not None:
                target = absolute(one.imported, module.package)
                attributes = (*(one.imported.name.split() or ()), *rest)
                found |= self.attribute(target, attributes, hot=hot and not one.cold, trail=trail)
        if any(one.imported is None or one.guards for one in bindings):
            found.add(self.name(module, root, hot=hot))
        return found

    def name(self, module: Module, name: str, *, hot: bool) -> str:
        """Put the statements that bind `name` at the top of `module` on the walk. Returns the name of their part."""
        full = f"{module.name}.{name}"
        if (full, hot) not in self._queued:
            self._queued.add((full, hot))
            live = vars(module.live).get(name) if hot and module.live else None
            if live is not None and self.stops(live):
                self.add(full, f"value:{digest_of('boundary', full)}", "")
            else:
                self.later(self._statements, module, name, hot)
        return full

    def _unbound(self, module: Module, root: str, rest: Chain, *, hot: bool, trail: Trail, inside: bool = True) -> set[str]:
        """A name that no statement of the module binds: from a star, put there at run time, or a builtin."""
        for star in module.source.stars if module.source else ():
            target = absolute(star, module.package)
            if (target, root) in trail:
                continue
            if not self.is_local(target):
                self.external(target)
            elif found := self.attribute(target, (root, *rest), hot=hot, trail=trail | {(target, root)}, sure=False):
                return found
        live = vars(module.live) if hot and module.live else {}
        if root in live and not root.startswith("__"):
            self.lasting = False
            return {self._objects.follow(f"{module.name}.{root}", live[root])}
        if inside and root in _OWN_MODULE and hasattr(builtins, root):
            self._widen(module, f"it uses {root}()", hot=hot)
        elif inside and root == "__import__":
            self._project(module, root)
        return set()

    def attribute(self, name: str, rest: Chain, *, hot: bool, trail: Trail = frozenset(), sure: bool = True) -> set[str]:
        """The full names that `rest` leads to from outside the module `name`: through re-exports, submodules and stars."""
        if not self.is_local(name):
            return self.external(name, rest)
        module = self.module(name, hot=hot)
        full = ".".join((name, *rest))
        if module is None:
            return {full} if sure else set()
        if not rest or rest[0] == "*":
            return {self._widen(module, "any name of it can be asked for" if rest else "", hot=hot)}
        first = (name, rest[0])
        if first not in trail and module.source and rest[0] in module.source.names:
            return self.follow(module, rest, hot=hot, trail=trail | {first})
        if module.folders and self.module(f"{name}.{rest[0]}", hot=hot):
            return self.attribute(f"{name}.{rest[0]}", rest[1:], hot=hot, trail=trail)
        if found := self._unbound(module, rest[0], rest[1:], hot=hot, trail=trail, inside=False):
            return found
        if module.source is None:
            return {self._binary(module)}
        if "__getattr__" in module.source.names:
            return {self._widen(module, "its attributes are made on demand", hot=hot)}
        return {full} if sure else set()

    def external(self, name: str, rest: Chain = ()) -> set[str]:
        """What is not the project's: of packages the version counts, of the standard library nothing but the name."""
        top = name.partition(".")[0]
        if top not in _STANDARD and top != OWN and top not in self.packages:
            version = self._versions(top)
            self.packages[top] = version or "unknown"
            if version is None:
                self.notes.add(f"the version of the package {top} is not known")
        return {".".join((name, *rest))}

    # ------------------------------------------------------------ widening

    def _widen(self, module: Module, why: str, *, hot: bool) -> str:
        if why:
            self.notes.add(f"all of {module.name} counts: {why}")
        if module.source is None:
            return self._binary(module)
        if (module.name, "*", hot) not in self._queued:
            self._queued.add((module.name, "*", hot))
            self.later(self._whole, module, hot)
        return module.name

    def _whole(self, module: Module, hot: bool) -> None:  # noqa: FBT001  as it is queued
        if module.source:
            self.part(module.name, [module.source.facts(module.source.tree)], module, hot=hot)
            for name in module.source.names:
                self.follow(module, (name,), hot=hot)

    def _project(self, module: Module, what: str) -> None:
        self.notes.add(f"the whole project counts: {module.name} uses {what} with a name that only a run knows")
        for name in siblings(module):
            if self.is_local(name) and (found := self.module(name, hot=False)):
                self._widen(found, "", hot=False)

    def _binary(self, module: Module) -> str:
        """A module without source: the bytes of its file stand for it."""
        if module.file:
            self.add(module.name, f"code:{digest_of(Path(module.file).read_bytes().hex())}", "")
            self.notes.add(f"{module.name} has no source: all of its file counts")
        elif not module.folders:
            self.notes.add(f"{module.name} has neither source nor file: it does not count")
        return module.name

    # ------------------------------------------------------------ parts

    def _statements(self, module: Module, name: str, hot: bool) -> None:  # noqa: FBT001  as it is queued
        """The part `module.name`: every statement that gives the name its value, and the conditions they stand under."""
        assert module.source is not None
        full = f"{module.name}.{name}"
        bindings = [one for one in module.source.names.get(name, ()) if one.imported is None or one.guards]
        facts = [module.source.facts(one.node) for one in bindings if one.imported is None]
        guards = [module.source.facts(guard) for one in bindings for guard in one.guards]
        definitions = [one.node for one in bindings if one.kind == "definition"]
        self.part(full, [*facts, *guards], module, hot=hot, kind="code" if definitions else "value")
        for node in definitions:
            self.methods(full, node, module, hot=hot)
        if hot and module.live is not None:
            self._objects.alongside(full, module, vars(module.live).get(name), bindings)

    def methods(self, full: str, node: Any, module: Module, *, hot: bool) -> None:
        """The parts of a class's methods and inner classes. Of other definitions there are none."""
        for one in node.body if node.__class__.__name__ == "ClassDef" and module.source else ():
            if hasattr(one, "decorator_list"):
                name = f"{full}.{one.name}"
                self.part(name, [module.source.facts(one)], module, hot=hot)  # type: ignore[union-attr]
                self.uses.setdefault(full, set()).add(name)
                self.methods(name, one, module, hot=hot)

    def part(
        self, name: str, facts: list[Facts], module: Module, *, hot: bool, kind: str = "code", hidden: frozenset[str] = frozenset()
    ) -> None:
        """Make a part of `facts`: their text, and what each of their names leads to. `hidden` names are a closure's own."""
        edges: list[str] = []
        used = self.uses.setdefault(name, set())
        for chain in sorted({chain for one in facts for chain in one.chains if chain[0] not in hidden}, key=repr):
            targets = self._targets(module, chain, hot=hot)
            if targets:
                used |= targets
                edges.append(f"{'.'.join(map(str, chain))}>{','.join(sorted(targets))}")
        text = digest_of(*(one.digest for one in facts), *edges)
        self.add(name, f"{kind}:{text}", "\n".join(one.source for one in facts))

    def _targets(self, module: Module, chain: Chain, *, hot: bool) -> set[str]:
        key = (module.file, hot, chain)
        known = self._followed.get(key)
        if known is None:
            known = self._followed[key] = self.follow(module, chain, hot=hot)
            if dynamic := known & _PROJECT:
                self._project(module, min(dynamic))
            elif any(one == "sys.modules" or one.startswith("sys.modules.") for one in known):
                self._widen(module, "it uses sys.modules", hot=hot)
        return known

"""The part of a walk that starts from live objects: closures, computed defaults, partials, registries, replaced functions.

Knows how Python's objects hold code; where the names in that code lead is the walk's to say.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from tidemill.fingerprint.live import Plain, carried, contained, functions_of, steps
from tidemill.fingerprint.modules import Module, spoken
from tidemill.fingerprint.sources import Binding, digest_of, opened

if TYPE_CHECKING:
    from tidemill.fingerprint.closure import Walk

__all__ = ["Objects"]


class Objects:
    """What `walk` does with live objects."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._seen: dict[int, Any] = {}  # by id, and held: an id must not be used again meanwhile

    # ------------------------------------------------------------ any object

    def follow(self, holder: str, value: Any) -> str:
        """The part that stands for `value`, which is put on the walk; `holder` is its name where it has none of its own."""
        walk = self._walk
        if walk.stops(value):
            walk.add(holder, f"value:{digest_of('boundary', holder)}", "")
            return holder
        if isinstance(value, ModuleType):
            return min(walk.attribute(value.__name__, (), hot=True))
        if isinstance(value, type):
            return self.kind(value)
        names = [self.function(one) for one in functions_of(value)]
        held = [value] if not names else [inner for one in steps(value) if (inner := carried(one)) is not None]
        if not held:
            return names[-1]
        name = holder or (names[-1] if names else type(value).__qualname__)
        for one in held:
            self._held(f"{name}()" if names else name, one)
        walk.uses.setdefault(name, set()).update(names)
        return names[-1] if names else name

    def _held(self, name: str, value: Any) -> None:
        walk = self._walk
        walk.lasting = False  # it can change without a file changing
        read = Plain(value, lambda kind: walk.is_local(kind.__module__))
        shown = repr(value) if not read.kinds and len(read.text) < 200 else ""
        walk.add(name, f"value:{digest_of(read.text)}", shown)
        if read.opaque:
            unread = ", ".join(sorted({kind.__qualname__ for kind in read.opaque}))
            walk.notes.add(f"{name} holds {unread}: what is inside does not count")
        for one in contained(value):
            walk.uses.setdefault(name, set()).add(self.kind(one) if isinstance(one, type) else self.function(one))
        for kind in read.kinds:
            walk.uses.setdefault(name, set()).add(self.kind(kind))

    def kind(self, kind: type) -> str:
        """The part of a class, with its bases."""
        walk = self._walk
        name = kind.__module__
        if isinstance(loaded := sys.modules.get(name), ModuleType):
            name = spoken(vars(loaded))
        if not walk.is_local(name):
            return min(walk.external(name, (kind.__qualname__,)))
        module = walk.module(name, hot=True)
        full = f"{name}.{kind.__qualname__.replace('.<locals>', '')}"
        if module is None or module.source is None or id(kind) in self._seen:
            return full
        self._seen[id(kind)] = kind
        root = kind.__qualname__.partition(".")[0]
        if "<locals>" not in kind.__qualname__ and root in module.source.names:
            return walk.name(module, root, hot=True)
        for node in module.source.classes(kind.__qualname__):
            walk.part(full, [module.source.facts(node)], module, hot=True)
            walk.methods(full, node, module, hot=True)
        for base in kind.__bases__:
            if base is not object:
                walk.uses.setdefault(full, set()).add(self.kind(base))
        for method in vars(kind).values():  # what they close over
            for one in functions_of(method):
                if "<locals>" in one.__code__.co_qualname:
                    self._captured(one, full, computed=False)
        return full

    # ------------------------------------------------------------ functions

    def function(self, function: FunctionType) -> str:
        """The part of a function object: its code, and what it carries."""
        walk = self._walk
        name = spoken(function.__globals__)
        full = f"{name}.{function.__code__.co_qualname.replace('.<locals>', '')}"
        if id(function) in self._seen:
            return full
        self._seen[id(function)] = function
        if walk.is_local(name):
            walk.later(self._code, function, name, full)
        else:
            walk.external(name, (function.__code__.co_qualname,))
            walk.later(self._captured, function, full)
        return full

    def _code(self, function: FunctionType, name: str, full: str) -> None:
        walk, code = self._walk, function.__code__
        module = walk.module(name, hot=True) or Module(name, "", None, name.rpartition(".")[0], (), None)
        if module.source is None or module.file != code.co_filename:
            module = self._elsewhere(module, function)
        found = module.source.at(code) if module.source else []
        root = code.co_qualname.partition(".")[0]
        bindings = module.source.names.get(root, ()) if module.source else ()
        at_top = any(one is binding.node for one in found for binding in bindings)
        if found and bindings and "<locals>" not in code.co_qualname:
            walk.name(module, root, hot=True)  # the function; or the class whose method it is
        if found and not at_top and module.source:
            facts = [module.source.facts(node) for node in found]
            walk.part(full, facts, module, hot=True, hidden=frozenset(code.co_freevars))
        elif not found:
            self._bytecode(function, full, module)
        self._captured(function, full, computed=not at_top)

    def _elsewhere(self, module: Module, function: FunctionType) -> Module:
        """The source of a function whose text is not its module's file: a notebook's cell, generated code."""
        walk, file = self._walk, function.__code__.co_filename
        walk.lasting = False
        live = sys.modules.get(str(function.__globals__.get("__name__", "")))
        if live is None or vars(live) is not function.__globals__:
            live = ModuleType(module.name)
            live.__dict__.update(function.__globals__)
        return module._replace(file=file, source=opened(file, function.__globals__), live=live)

    def _bytecode(self, function: FunctionType, full: str, module: Module) -> None:
        walk = self._walk
        walk.lasting = False
        walk.notes.add(f"{full} has no source that can be found: its bytecode counts, which differs between versions of Python")
        texts = [".".join(map(str, sys.version_info[:2]))]
        for code in _codes(function.__code__):
            constants = [repr(one) for one in code.co_consts if not isinstance(one, CodeType)]
            texts += [code.co_code.hex(), *code.co_names, *constants, *code.co_varnames]
            for name in code.co_names:
                targets = sorted(walk.follow(module, (name,), hot=True))
                walk.uses.setdefault(full, set()).update(targets)
                texts += targets
        walk.add(full, f"code:{digest_of(*texts)}", "")

    def _captured(self, function: FunctionType, full: str, *, computed: bool = True) -> None:
        """What a function object carries beside its code: cells, what it wraps, and (`computed`) the values of its defaults.

        Of a definition at the top of a module its statement tells the defaults, the same in every process.
        """
        code = function.__code__
        held: list[tuple[str, Any]] = []
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
            try:
                held.append((name, cell.cell_contents))
            except ValueError:  # not assigned yet
                continue
        if computed:
            defaults = function.__defaults__ or ()
            names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
            held += [*zip(names, defaults, strict=True), *(function.__kwdefaults__ or {}).items()]
        for name, value in held:
            if name != "__class__":
                self._walk.uses.setdefault(full, set()).add(self.follow(f"{full}[{name}]", value))

    # ------------------------------------------------------------ beside the statements of a loaded module

    def alongside(self, full: str, module: Module, live: Any, bindings: list[Binding]) -> None:
        """What a loaded module's name holds beyond its statements: functions in registries, a function put in its place."""
        definitions: list[Any] = [one.node for one in bindings if one.kind == "definition"]
        if not definitions:
            self._registered(full, contained(live))
            return
        if isinstance(live, type):
            return
        last = live
        for last in steps(live):
            inside = vars(last) if isinstance(last, FunctionType) else {}
            registries = [value for name, value in inside.items() if name != "__wrapped__"]
            self._registered(full, [one for value in registries for one in contained(value)])
        decorated = any(node.decorator_list for node in definitions)
        if isinstance(last, FunctionType) and not decorated and module.live is not None:
            own = last.__globals__ is vars(module.live) and last.__code__.co_name == definitions[-1].name
            if not own:
                self._walk.notes.add(f"{full} was replaced at run time")
                self._registered(full, [last])

    def _registered(self, full: str, found: list[Any]) -> None:
        walk = self._walk
        for one in found:
            name = self.kind(one) if isinstance(one, type) else self.function(one)
            if name != full:
                walk.lasting = False
                walk.uses.setdefault(full, set()).add(name)
                walk.add(f"{full}[{name}]", f"value:{digest_of(name)}", "")


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _codes(one)

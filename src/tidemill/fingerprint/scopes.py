"""Which names from outside a piece of code reads, as dotted chains: `util.clean`, `RATE`, and what it imports itself.

Knows syntax and Python's scoping rules; what the names stand for is found elsewhere.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Chain", "Imported", "chain_of", "import_bindings", "uses"]


class Imported(NamedTuple):
    """What an import statement binds: a module, or `name` in it. `level` counts the dots of a relative import."""

    level: int
    module: str
    name: str = ""


# ("util", "clean"): the first is a name or an import inside the code; "*" as the last says "any attribute".
Chain: TypeAlias = tuple[Any, ...]


class _Scope:
    """One function, lambda or comprehension while it is read."""

    __slots__ = ("bound", "chains", "declared", "imports", "is_class")

    def __init__(self, *, is_class: bool = False) -> None:
        self.chains: set[Chain] = set()
        self.bound: set[str] = set()
        self.declared: set[str] = set()  # `global`
        self.imports: dict[str, list[Imported]] = {}
        self.is_class = is_class

    def free(self) -> set[Chain]:
        """The chains that this scope does not answer itself. A class body hides none: its names may be read before they are bound."""
        found: set[Chain] = set()
        hidden = set() if self.is_class else self.bound - self.declared
        for chain in self.chains:
            imported = self.imports.get(chain[0])
            if imported:
                found.update((one, *chain[1:]) for one in imported)
                if not self.is_class:
                    continue
            if chain[0] not in hidden:
                found.add(chain)
        read = {chain[0] for chain in self.chains}
        for name, imported in self.imports.items():
            if name not in read:  # imported for what importing does
                found.update((one,) for one in imported)
        return found


def uses(*nodes: ast.AST) -> tuple[Chain, ...]:
    """The chains that `nodes`, standing at the top of a module, read from outside themselves, sorted."""
    top = _Scope(is_class=True)
    for node in nodes:
        _visit(node, top)
    return tuple(sorted(top.free(), key=repr))


def chain_of(node: ast.AST) -> tuple[str, ...] | None:
    """`a.b.c` as ("a", "b", "c"); None if it does not start with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    parts.append(node.id)
    return tuple(reversed(parts))


def import_bindings(node: ast.Import | ast.ImportFrom) -> Iterable[tuple[str, Imported]]:
    """The names that an import statement binds, with what they stand for. A star is bound as "*"."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Imported(node.level, node.module or "", alias.name)
        elif alias.asname:
            yield alias.asname, Imported(0, alias.name)
        else:
            yield alias.name.partition(".")[0], Imported(0, alias.name.partition(".")[0])


def _visit(node: Any, scope: _Scope) -> None:
    handler = _HANDLERS.get(node.__class__)
    if handler is not None:
        handler(node, scope)
        return
    for value in node.__dict__.values():
        if value.__class__ is list:
            for item in value:
                if isinstance(item, ast.AST):
                    _visit(item, scope)
        elif isinstance(value, ast.AST):
            _visit(value, scope)


def _name(node: ast.Name, scope: _Scope) -> None:
    if node.ctx.__class__ is ast.Load:
        scope.chains.add((node.id,))
    else:
        scope.bound.add(node.id)
        if node.id in scope.declared:
            scope.chains.add((node.id,))


def _attribute(node: ast.Attribute, scope: _Scope) -> None:
    chain = chain_of(node)
    if chain is None:
        _visit(node.value, scope)
    else:
        scope.chains.add(chain)


def _call(node: ast.Call, scope: _Scope) -> None:
    called = chain_of(node.func)
    if called and called[-1] in ("import_module", "__import__") and node.args:
        given = node.args[0]
        if isinstance(given, ast.Constant) and isinstance(given.value, str) and not given.value.startswith("."):
            scope.chains.add((Imported(0, given.value),))  # as good as an import statement
            for other in (*node.args[1:], *node.keywords):
                _visit(other, scope)
            return
    if called == ("getattr",) and len(node.args) > 1 and (chain := chain_of(node.args[0])):
        name = node.args[1]
        known = isinstance(name, ast.Constant) and isinstance(name.value, str)
        scope.chains.add((*chain, name.value if known else "*"))  # type: ignore[attr-defined]
    for value in (node.func, *node.args, *node.keywords):
        _visit(value, scope)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope) -> None:
    inner = _Scope()
    arguments = node.args
    for value in (*arguments.defaults, *arguments.kw_defaults):
        if value is not None:
            _visit(value, scope)
    annotated = _Scope()
    for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if one is not None:
            inner.bound.add(one.arg)
            _annotation(one.annotation, annotated)
    if isinstance(node, ast.Lambda):
        _visit(node.body, inner)
    else:
        scope.bound.add(node.name)
        for decorator in node.decorator_list:
            _visit(decorator, scope)
        _annotation(node.returns, annotated)
        for statement in node.body:
            _visit(statement, inner)
        _type_parameters(node, annotated)
        inner.bound |= annotated.bound
    scope.chains |= inner.free() | annotated.free()


def _class(node: ast.ClassDef, scope: _Scope) -> None:
    scope.bound.add(node.name)
    for decorator in node.decorator_list:
        _visit(decorator, scope)
    outer = _Scope()
    _type_parameters(node, outer)
    for value in (*node.bases, *node.keywords):
        _visit(value, outer)
    body = _Scope(is_class=True)
    for statement in node.body:
        _visit(statement, body)
    outer.chains |= body.free()
    scope.chains |= outer.free()


def _type_parameters(node: Any, scope: _Scope) -> None:
    for one in getattr(node, "type_params", ()):  # Python 3.12
        scope.bound.add(one.name)
        for field in ("bound", "default_value"):
            if (value := getattr(one, field, None)) is not None:
                _visit(value, scope)


def _annotation(node: ast.AST | None, scope: _Scope) -> None:
    """Names in an annotation count also where it is written as a string."""
    if node is None:
        return
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            try:
                _visit(ast.parse(one.value, mode="eval").body, scope)
            except (SyntaxError, ValueError):
                continue
    _visit(node, scope)


def _annotated_assignment(node: ast.AnnAssign, scope: _Scope) -> None:
    _annotation(node.annotation, scope)
    _visit(node.target, scope)
    if node.value is not None:
        _visit(node.value, scope)


def _comprehension(node: Any, scope: _Scope) -> None:
    inner = _Scope()
    _visit(node.generators[0].iter, scope)  # it is evaluated outside
    for position, generator in enumerate(node.generators):
        _visit(generator.target, inner)
        if position:
            _visit(generator.iter, inner)
        for condition in generator.ifs:
            _visit(condition, inner)
    for field in ("elt", "key", "value"):
        if hasattr(node, field):
            _visit(getattr(node, field), inner)
    scope.chains |= inner.free()


def _import(node: ast.Import | ast.ImportFrom, scope: _Scope) -> None:
    for name, imported in import_bindings(node):
        scope.bound.add(name)
        scope.imports.setdefault(name, []).append(imported)


def _global(node: ast.Global, scope: _Scope) -> None:
    scope.declared.update(node.names)
    scope.chains.update((name,) for name in node.names)


def _handler(node: ast.ExceptHandler, scope: _Scope) -> None:
    if node.name:
        scope.bound.add(node.name)
    for value in (node.type, *node.body):
        if value is not None:
            _visit(value, scope)


def _pattern(node: Any, scope: _Scope) -> None:
    name = getattr(node, "name", None) or getattr(node, "rest", None)
    if name:
        scope.bound.add(name)
    for value in (*getattr(node, "keys", ()), *getattr(node, "patterns", ()), getattr(node, "pattern", None)):
        if value is not None:
            _visit(value, scope)


def _nothing(_node: Any, _scope: _Scope) -> None:
    pass


_HANDLERS: dict[type, Callable[[Any, _Scope], None]] = {
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Lambda: _function,
    ast.ClassDef: _class,
    ast.AnnAssign: _annotated_assignment,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.Global: _global,
    ast.ExceptHandler: _handler,
    ast.MatchAs: _pattern,
    ast.MatchStar: _pattern,
    ast.MatchMapping: _pattern,
    ast.Constant: _nothing,
    ast.Nonlocal: _nothing,
}

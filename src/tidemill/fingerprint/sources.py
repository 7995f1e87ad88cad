"""A source file, read once: what each name at the top of its module is bound to, and where each function stands in it.

Reads files and `linecache`; executes nothing and knows nothing of live objects but a code object's name and place.
"""

from __future__ import annotations

import ast
import copy
import linecache
import os
import threading
import tokenize
from collections import OrderedDict
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

from blake3 import blake3

from tidemill.fingerprint.canonical import canonical
from tidemill.fingerprint.scopes import Chain, Imported, chain_of, import_bindings, uses

__all__ = ["Binding", "Facts", "SourceFile", "digest_of", "opened", "stamp"]

OWN = "tidemill"
_KEPT = 4096  # files whose trees are kept in memory
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Match)
# Statements that only set up how a program speaks or is found are no part of what a function that uses these does.
_MANNERS = frozenset({"logging", "sys", "warnings"})


class Binding(NamedTuple):
    """One statement that gives a name its value: an import, a definition, or anything else ("value").

    `guards` are the conditions it stands under; `cold` imports happen for type checkers only.
    """

    kind: str
    node: ast.AST
    imported: Imported | None = None
    guards: tuple[ast.AST, ...] = ()
    cold: bool = False


class Facts(NamedTuple):
    """What is known of one node by syntax alone: the digest of its canonical text, the chains that it uses, its source text."""

    digest: str
    chains: tuple[Chain, ...]
    source: str


def digest_of(*texts: str) -> str:
    """32 hex digits (128 bits) of BLAKE3 over the texts and where each ends."""
    hasher = blake3()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        hasher.update(b"%d:" % len(data))
        hasher.update(data)
    return hasher.hexdigest(length=16)


def stamp(file: str) -> tuple[int, int, int] | None:
    """What changes when a file is written: its time in ns, size and inode; None if there is no such file."""
    try:
        found = os.stat(file)  # noqa: PTH116  asked thousands of times a second
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class SourceFile:
    """One parsed module. Raises `SyntaxError` or `ValueError` if `text` is no Python."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = text.split("\n")
        self.tree = ast.parse(text)
        self.names: dict[str, list[Binding]] = {}
        self.stars: list[Imported] = []
        self._facts: dict[int, Facts] = {}
        self._places: dict[str, list[ast.AST]] | None = None
        self._read(self.tree.body, (), cold=False)
        self._mutations()

    # ------------------------------------------------------------ what names are bound to

    def _bind(self, name: str, binding: Binding) -> None:
        self.names.setdefault(name, []).append(binding)

    def _read(self, body: list[ast.stmt], guards: tuple[ast.AST, ...], *, cold: bool) -> None:
        for node in body:
            if isinstance(node, _DEFINITIONS):
                self._bind(node.name, Binding("definition", node, guards=guards))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for name, imported in import_bindings(node):
                    if name == "*":
                        self.stars.append(imported)
                    else:
                        self._bind(name, Binding("import", node, imported, guards, cold))
            elif isinstance(node, ast.If):
                only_types = (chain_of(node.test) or ("",))[-1] == "TYPE_CHECKING"
                under = guards if only_types else (*guards, node.test)
                self._read(node.body, under, cold=cold or only_types)
                self._read(node.orelse, under, cold=cold)
            elif isinstance(node, ast.Try | ast.TryStar):
                for part in (node.body, *(handler.body for handler in node.handlers), node.orelse, node.finalbody):
                    self._read(part, guards, cold=cold)
            else:
                for name in _bound(node):
                    self._bind(name, Binding("value", node, guards=guards))

    def _mutations(self) -> None:
        """Statements that change what a name holds belong to it: `TABLE["a"] = 1`, `names.append(x)`, `Order.rate = 2`."""
        for node in self.tree.body:
            for name, passed in sorted(_changed(node)):
                known = self.names.get(name, [])
                if passed and not any(one.kind == "value" for one in known):
                    continue  # functions and classes are handed around a lot, and not changed by it
                if known and all(one.node is not node for one in known):
                    self._bind(name, Binding("value", node))

    # ------------------------------------------------------------ facts of nodes

    def facts(self, node: ast.AST) -> Facts:
        """What syntax says of `node`. Our own decorators say how a function runs, not what it does: they are left out."""
        known = self._facts.get(id(node))
        if known is None:
            meant = self._meant(node)
            try:
                known = Facts(digest_of(canonical(meant)), uses(meant), self.source(node))
            except RecursionError:  # an expression a thousand levels deep: its text as it is written, and every name in it
                names = sorted({one.id for one in ast.walk(meant) if isinstance(one, ast.Name)})
                known = Facts(digest_of("text", self.source(node)), tuple((name,) for name in names), self.source(node))
            self._facts[id(node)] = known
        return known

    def _meant(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module):  # its definitions are parts of their own
            return ast.Module(body=[one for one in node.body if not isinstance(one, _DEFINITIONS)], type_ignores=[])
        if not isinstance(node, _DEFINITIONS):
            return node
        kept = [one for one in node.decorator_list if not self._ours(one)]
        methods = [one.name for one in node.body if isinstance(one, _DEFINITIONS)] if isinstance(node, ast.ClassDef) else []
        if len(kept) == len(node.decorator_list) and not methods:
            return node
        meant = copy.copy(node)
        meant.decorator_list = kept
        if methods:  # each is a part of its own; their order does not matter
            meant.body = [one for one in node.body if not isinstance(one, _DEFINITIONS)]
            meant.body += [ast.Nonlocal(names=sorted(methods))]
        return meant

    def _ours(self, decorator: ast.expr) -> bool:
        chain = chain_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
        bindings = self.names.get(chain[0], []) if chain else []
        return bool(bindings) and all(one.imported and one.imported.module.partition(".")[0] == OWN for one in bindings)

    def source(self, node: ast.AST) -> str:
        first, last = first_line(node), getattr(node, "end_lineno", 0)
        if isinstance(node, ast.Module):
            return self.text
        if isinstance(node, ast.stmt):
            return "\n".join(self.lines[first - 1 : last])
        return ast.get_source_segment(self.text, node) or ""

    # ------------------------------------------------------------ where a code object stands

    def at(self, code: CodeType) -> list[ast.AST]:
        """The definitions that `code` may have been compiled from: one, unless its line has several lambdas that look alike."""
        for one in self.names.get(code.co_qualname, ()):  # most stand at the top: the rest need not be looked through
            if one.kind == "definition" and first_line(one.node) == code.co_firstlineno:
                return [one.node]
        if self._places is None:
            self._places = {}
            for name, node in _named(self.tree, ""):
                self._places.setdefault(name, []).append(node)
        named = self._places.get(code.co_qualname, [])
        here = [node for node in named if first_line(node) == code.co_firstlineno]
        if code.co_name == "<lambda>":
            return _by_column(here, code)
        return here or (named if len(named) == 1 else [])

    def classes(self, qualname: str) -> list[ast.AST]:
        """The class definitions of that qualified name."""
        self.at((lambda: None).__code__)  # reads the places
        return [node for node in (self._places or {}).get(qualname, []) if isinstance(node, ast.ClassDef)]


def first_line(node: Any) -> int:
    """The line where a definition begins: that of its first decorator."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]) if hasattr(node, "lineno") else 1


def _named(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DEFINITIONS):
            name = prefix + child.name
            yield name, child
            yield from _named(child, f"{name}." if isinstance(child, ast.ClassDef) else f"{name}.<locals>.")
        elif isinstance(child, ast.Lambda):
            yield f"{prefix}<lambda>", child
            yield from _named(child, f"{prefix}<lambda>.<locals>.")
        elif isinstance(child, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _named(child, prefix)
            # Functions made inside one carry its name, where the comprehension is a function: all in 3.11, generators later.
            inner = {"ListComp": "<listcomp>", "SetComp": "<setcomp>", "DictComp": "<dictcomp>"}.get(type(child).__name__, "<genexpr>")
            yield from _named(child, f"{prefix}{inner}.<locals>.")
        else:
            yield from _named(child, prefix)


def _by_column(lambdas: list[ast.AST], code: CodeType) -> list[ast.AST]:
    if len(lambdas) < 2:
        return lambdas
    spans = [span for span in code.co_positions() if span[0] is not None and span[2] is not None and span[3]]
    if not spans:  # Python was told not to keep columns
        return lambdas

    def holds(node: Any) -> bool:
        begin, end = (node.body.lineno, node.body.col_offset), (node.body.end_lineno, node.body.end_col_offset)
        return all(begin <= (line, column) and (last, stop) <= end for line, last, column, stop in spans)

    inside: list[Any] = [node for node in lambdas if holds(node)]
    return sorted(inside, key=lambda node: (node.lineno, node.col_offset))[-1:] or lambdas  # of nested ones, the inner


def _bound(node: ast.AST) -> set[str]:
    found = {one.id for one in _outer(node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    if isinstance(node, _LOOPS):
        found |= {one.name for one in _outer(node) if isinstance(one, _DEFINITIONS)}
        found |= {name for one in _outer(node) if isinstance(one, ast.Import | ast.ImportFrom) for name, _ in import_bindings(one)}
        found |= {one.name for one in ast.walk(node) if isinstance(one, ast.MatchAs | ast.MatchStar) and one.name}
    if isinstance(node, getattr(ast, "TypeAlias", ())):  # Python 3.12: `type X = ...`
        found.add(node.name.id)  # type: ignore[attr-defined]
    return found


def _outer(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement that are evaluated in its own scope."""
    yield node
    if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _outer(child)


def _changed(statement: ast.AST) -> set[tuple[str, bool]]:
    """The names whose values a statement at the top of a module may change in place, and whether it only hands them over."""
    if isinstance(statement, (*_DEFINITIONS, ast.Import, ast.ImportFrom)) or _is_main(statement):
        return set()
    found: set[tuple[str, bool]] = set()
    for node in _outer(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found |= {(name, False) for name in _root(node)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value
            plain = isinstance(called.func, ast.Name)
            found |= set() if plain else {(name, False) for name in _root(called.func) - _MANNERS}
            sets = plain and called.func.id in ("setattr", "delattr")  # type: ignore[attr-defined]
            found |= {(one.id, not sets) for one in called.args if isinstance(one, ast.Name)}
    return found


def _is_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and any(isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(node.test))


def _root(node: Any) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


_files: OrderedDict[str, tuple[tuple[int, int, int] | None, SourceFile | None]] = OrderedDict()
_lock = threading.Lock()


def opened(file: str, module_globals: dict[str, Any] | None = None) -> SourceFile | None:
    """The file, parsed; again only when it was written since. None if there is no source or it is no Python.

    What is no file (a notebook's cell, a module in an archive) is read through `linecache`.
    """
    now = stamp(file)
    with _lock:
        kept = _files.get(file)
        if kept is not None and now is not None and kept[0] == now:
            _files.move_to_end(file)
            return kept[1]
    text = _text(file, module_globals, is_file=now is not None)
    if kept is not None and kept[1] is not None and now is None and kept[1].text == text:
        return kept[1]
    try:
        found = SourceFile(file, text) if text else None
    except (SyntaxError, ValueError, RecursionError):
        found = None
    with _lock:
        _files[file] = (now, found)
        while len(_files) > _KEPT:
            _files.popitem(last=False)
    return found


def _text(file: str, module_globals: dict[str, Any] | None, *, is_file: bool) -> str:
    if not is_file:
        return "".join(linecache.getlines(file, module_globals))
    try:
        with tokenize.open(file) as source:  # as its coding line says
            return source.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""

"""How another process finds a function: by import, or from a cloudpickle when it has no importable name.

Also the quick fingerprint of its code. Starts no process and keeps no bytes: it is given the function that does.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tidemill.authoring.places import place_of
from tidemill.authoring.problems import CannotShip
from tidemill.errors import Problem

__all__ = ["fingerprint", "found_by_import", "load", "pickled"]


def found_by_import(module: str, qualname: str) -> Any:
    """What `module:qualname` leads to in the modules that are loaded; None if nothing, or if it is no stable name."""
    if module == "__main__" or "<" in qualname:
        return None
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def pickled(thing: Any, function: Callable[..., Any]) -> bytes:
    """`thing` (a task or flow made of `function`) as cloudpickle bytes. Raises `CannotShip`."""
    import cloudpickle  # lazily: 20 ms that few projects need

    try:
        return bytes(cloudpickle.dumps(thing))
    except Problem as problem:
        raise problem from None
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise CannotShip(
            f"{name!r} cannot be given to another process.",
            why=f"It has no name that can be imported, and what it holds on to cannot be pickled: {type(error).__name__}: {error}",
            mend="Define it at the top level of a module, and open connections, locks and files inside it (or in a Resource).",
            where=place_of(function),
        ) from error


def load(module: str, qualname: str, code: bytes | None = None) -> Any:
    """In a worker: the task or flow that `module:qualname` names, or that `code` holds. Raises `CannotShip`."""
    if code is not None:
        import cloudpickle  # lazily: only for what has no importable name

        return cloudpickle.loads(code)
    import importlib  # here to keep it beside its use: this is the only place that imports user modules

    importlib.import_module(module)
    found = found_by_import(module, qualname)
    if found is None:
        raise CannotShip(
            f"{module}:{qualname} is not there.",
            why="The module was imported, and has nothing of that name: it is made conditionally, or the code has changed since.",
            mend="Define tasks at the top level of their module, whatever the environment.",
        )
    return found


def fingerprint(function: Callable[..., Any]) -> str:
    """A digest of what `function` does: its source without comments, docstrings and places, and the plain values it closes over.

    The same on Python 3.11 to 3.13. Functions that it calls are not looked into. Without source, its bytecode is taken.
    """
    from hashlib import blake2b  # lazily: only tasks with cache= are fingerprinted while a flow is built

    hasher = blake2b(digest_size=16)
    for part in _parts(inspect.unwrap(function), set()):
        hasher.update(part.encode(errors="surrogatepass"))
        hasher.update(b"\0")
    return hasher.hexdigest()


def _parts(function: Any, seen: set[int]) -> Iterator[str]:
    seen.add(id(function))
    code = getattr(function, "__code__", None)
    if code is None:
        yield f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"
        return
    try:
        tree = _parsed(function)
    except (OSError, TypeError, SyntaxError):
        yield f"{sys.version_info[:2]} {code.co_code.hex()} {code.co_names} {_constants(code)}"
    else:
        yield "".join(_canonical(_without_labels(tree)))
    for name, cell in zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=False):
        try:
            held = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if callable(held) and hasattr(held, "__code__"):
            if id(held) not in seen:
                yield f"{name}:"
                yield from _parts(held, seen)
        elif _is_plain(held):
            yield f"{name}={held!r}"


def _parsed(function: Any) -> ast.Module:
    if function.__name__ == "<lambda>":
        raise SyntaxError  # its source is the whole line, with whatever else is on it
    source = inspect.getsource(function)
    if not source[0].isspace():
        return ast.parse(source)
    block = ast.parse("if 1:\n" + source).body[0]  # as it is indented: dedenting would change its strings
    return ast.Module(body=getattr(block, "body", []), type_ignores=[])


def _constants(code: Any) -> str:
    return repr([_constants(value) if hasattr(value, "co_consts") else value for value in code.co_consts])


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(inner) for pair in value.items() for inner in pair)
    return value is None or isinstance(value, (int, float, complex, str, bytes))


def _without_labels(tree: ast.Module) -> ast.AST:
    """The definition without its docstring and without our own decorators, which say how it runs and not what it does."""
    top: ast.AST = tree.body[0] if len(tree.body) == 1 else tree
    if isinstance(top, (ast.FunctionDef, ast.AsyncFunctionDef)):
        top.decorator_list = [one for one in top.decorator_list if _called(one) not in ("task", "flow")]
    for node in ast.walk(top):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return top


def _called(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def _canonical(node: Any) -> Iterator[str]:
    # `ast.dump` differs between versions of Python: empty fields, type parameters. Only what is there counts.
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if name not in ("ctx", "kind", "type_comment") and value is not None and value != []:
                yield f" {name}="
                yield from _canonical(value)
        yield ")"
    elif isinstance(node, list):
        for item in node:
            yield from _canonical(item)
            yield ","
    else:
        yield f"{type(node).__name__}:{node!r}"

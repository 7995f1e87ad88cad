"""Edits of source text: those that change what code does, and those that do not. Made by rule, taken by chance with a seed."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Not: ast.USub, ast.USub: ast.UAdd, ast.UAdd: ast.USub,
}  # fmt: skip


class Mutation(NamedTuple):
    kind: str
    line: int
    apply: Callable[[], object]  # to the tree that it was made from


def mutations(tree: ast.Module) -> Iterator[Mutation]:
    """Every edit of `tree` that the rules below know, none of which leaves the program the same."""
    idle = {id(one) for one in ast.walk(tree) if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)}
    idle |= {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) not in idle or isinstance(node, ast.Call):
            yield from _of(node)
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and not isinstance(node, ast.Module):
                yield from _of_block(block)


def _of(node: ast.AST) -> Iterator[Mutation]:
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Constant) and not isinstance(node.value, type(...)):
        yield Mutation("constant", line, lambda: setattr(node, "value", _other(node.value)))
    for field in ("op", "ops"):
        held = getattr(node, field, None)
        if type(held) in SWAPS:
            yield Mutation("operator", line, lambda field=field, held=held: setattr(node, field, SWAPS[type(held)]()))
        elif held and isinstance(held, list) and type(held[0]) in SWAPS:
            yield Mutation("comparison", line, lambda held=held: held.__setitem__(0, SWAPS[type(held[0])]()))
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield Mutation("name", line, lambda: setattr(node, "id", node.id + "_other"))
    if isinstance(node, ast.Attribute):
        yield Mutation("attribute", line, lambda: setattr(node, "attr", node.attr + "_other"))
    if isinstance(node, ast.keyword) and node.arg:
        yield Mutation("keyword", line, lambda: setattr(node, "arg", node.arg + "_other"))
    if isinstance(node, ast.Call) and len(node.args) > 1 and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        yield Mutation("arguments swapped", line, lambda: node.args.__setitem__(slice(0, 2), node.args[1::-1]))
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield Mutation("condition turned", line, lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test)))
    if isinstance(node, ast.Return) and node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield Mutation("result dropped", line, lambda: setattr(node, "value", ast.Constant(None)))
    if isinstance(node, ast.FunctionDef) and node.args.defaults:
        yield Mutation("default dropped", line, partial(node.args.defaults.pop, 0))
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield Mutation("decorator added", line, lambda: node.decorator_list.append(ast.Name("decorated", ast.Load())))
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.decorator_list:
        yield Mutation("decorator dropped", line, node.decorator_list.pop)
    if isinstance(node, ast.ClassDef) and node.bases:
        yield Mutation("base dropped", line, node.bases.pop)


def _of_block(block: list[ast.stmt]) -> Iterator[Mutation]:
    for place, one in enumerate(block):
        if isinstance(one, ast.Pass) or _constant(one):
            continue
        yield Mutation("statement dropped", one.lineno, lambda place=place: block.__setitem__(place, ast.Pass()))
        after = block[place + 1] if place + 1 < len(block) else None
        kinds = (ast.FunctionDef, ast.ClassDef, ast.Pass)  # methods in another order are the same class
        if after is None or isinstance(one, kinds) or isinstance(after, kinds) or _constant(after) or ast.dump(one) == ast.dump(after):
            continue
        yield Mutation("statements swapped", one.lineno, partial(block.__setitem__, slice(place, place + 2), [after, one]))


def _constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _other(value: object) -> object:
    match value:
        case bool():
            return not value
        case int() | float() | complex():
            return value + 1
        case str():
            return value + "~"
        case bytes():
            return value + b"~"
    return 0


def unchanged(text: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Edits of a module's text that change nothing that it does, each with its name."""
    yield "unparsed", ast.unparse(ast.parse(text))
    yield "comments and blank lines", "# first\n\n" + "\n# more\n".join(["", text]) + "\n# last\n"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False) is not None
            node.body[0:1] = [ast.Expr(ast.Constant("Said otherwise.")), *([] if documented else node.body[:1])]
    yield "docstrings", ast.unparse(ast.fix_missing_locations(tree))
    tree = ast.parse(text)
    places = [at for at, one in enumerate(tree.body) if isinstance(one, ast.FunctionDef) and _movable(one, tree)]
    if len(places) > 1:
        functions = [tree.body[at] for at in places]
        chance.shuffle(functions)
        for at, function in zip(places, functions, strict=True):
            tree.body[at] = function
        yield "functions moved", ast.unparse(tree)


def _movable(function: ast.FunctionDef, tree: ast.Module) -> bool:
    """Whether nothing that runs while the module is loaded reads the function, and it reads nothing then."""
    early: list[ast.AST] = []
    for one in tree.body:
        early += [one.args, *one.decorator_list] if isinstance(one, ast.FunctionDef) else [one]
    read = {name.id for one in early for name in ast.walk(one) if isinstance(name, ast.Name)}
    once = sum(isinstance(one, ast.FunctionDef) and one.name == function.name for one in tree.body) == 1
    names = [one for part in (function.args, *function.decorator_list, function.returns) if part for one in ast.walk(part)]
    return once and function.name not in read and not any(isinstance(one, ast.Name) for one in names)


def mutated(text: str, which: int) -> tuple[Mutation, str]:
    """The text with one mutation, and a place for it: the number of a mutation in `mutations`."""
    tree = copy.deepcopy(ast.parse(text))
    mutation = list(mutations(tree))[which]
    mutation.apply()
    return mutation, ast.unparse(ast.fix_missing_locations(tree))

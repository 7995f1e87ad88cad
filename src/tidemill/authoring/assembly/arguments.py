"""Arguments of a call to expressions, with their types checked on the way. Knows references and constants, not calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidemill.authoring.assembly.references import Inverted, Reference, contains_reference
from tidemill.authoring.places import here
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.types import typecheck
from tidemill.graph.values import Constant, Expr, Handle, Several

if TYPE_CHECKING:
    from tidemill.authoring.building import Building
    from tidemill.authoring.task import Task

__all__ = ["check", "collection", "constant", "encoded", "expression"]


def encoded(building: Building, task: Task[..., Any], bound: Mapping[str, Any]) -> dict[str, Expr]:
    """Every argument as an expression. Raises `TypeMismatch` where a reference does not fit its parameter."""
    signature = task.signature
    exprs: dict[str, Expr] = {}
    for name, value in bound.items():
        if type(value) is Reference:
            exprs[name] = building.own(value)
            typecheck.require(value, signature.hint(name), task, name)
        elif getattr(value, "is_asset", False):
            exprs[name] = building.current(value)
            typecheck.require(Reference(building, exprs[name], value.result_hint, label=value.name), signature.hint(name), task, name)
        elif not building.wiring.stands_for(task, name, value):
            exprs[name] = expression(building, value)
            typecheck.require_inside(value, signature.hint(name), task, name)
    return exprs


def check(building: Building, task: Task[..., Any], bound: Mapping[str, Any]) -> None:
    """Only check: for the arguments of a flow inside a flow, which its body gets as they are."""
    if missing := task.signature.missing(bound):
        raise task.signature.refuse_missing(missing)
    for name, value in bound.items():
        if type(value) is Reference:
            building.own(value)
            typecheck.require(value, task.signature.hint(name), task, name)


def constant(handle: Handle) -> Constant:
    """A known value."""
    return Constant(handle)


def expression(building: Building, value: Any) -> Expr:
    """`value` as an expression: structures that hold references are opened, everything else is a constant."""
    kind = type(value)
    if kind is Reference:
        return building.own(value)
    if kind is str or kind is int or kind is bool or value is None:
        return building.constant(value)
    if getattr(value, "is_asset", False):
        return building.current(value)
    if not contains_reference(value):
        return building.constant(value)
    if kind is Inverted:
        raise _unusable("~ before a result makes a condition", "Use it in `with when(~…):`, or invert the value inside a task.")
    if kind is dict:
        return _of_dict(building, value)
    if kind is list or kind is tuple or kind is set:
        return Several(kind.__name__, tuple(expression(building, inner) for inner in value))  # type: ignore[arg-type]
    raise _unusable(
        f"a {kind.__name__} with results of tasks inside was given to a task",
        "Pass results themselves, or inside plain lists, tuples, sets and dicts; make other objects inside a task.",
    )


def collection(building: Building, value: Any) -> Expr:
    """What is mapped over: a reference, or a list or dict whose parts may be references."""
    return expression(building, value)


def _of_dict(building: Building, value: dict[Any, Any]) -> Several:
    for key in value:
        if not isinstance(key, str):
            raise _unusable(
                f"a dict with results of tasks in it has the key {key!r}, which is not text",
                "Give such a dict keys that are text, or build it inside a task.",
            )
    return Several("dict", tuple(expression(building, inner) for inner in value.values()), tuple(value))


def _unusable(what: str, mend: str) -> BadDefinition:
    return BadDefinition(
        f"An argument cannot be used: {what}.",
        why="Results of tasks are not there yet while the flow is built; only plain structures can be filled in later.",
        mend=mend,
        where=here(),
    )

"""`.map` and `.partial` while a flow is built: which parameters are mapped, over what, and what comes out.

Knows references and drafts; how many items there will be is the engine's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tidemill.authoring.assembly import arguments
from tidemill.authoring.assembly.references import Reference
from tidemill.authoring.calls import Fixed
from tidemill.authoring.places import here, place_of
from tidemill.authoring.problems import BadCall, BadDefinition
from tidemill.authoring.types import shapes, typecheck
from tidemill.authoring.types.shapes import Results
from tidemill.authoring.types.signatures import UNKNOWN
from tidemill.graph.nodes import Role
from tidemill.graph.values import Ref

if TYPE_CHECKING:
    from tidemill.authoring.building import Building
    from tidemill.authoring.task import Task
    from tidemill.authoring.types.signatures import Signature

__all__ = ["bind_mapped", "collected", "map_task", "result_hint", "same_length", "split"]


def map_task(
    building: Building, task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any], *, role: Role = "task"
) -> Reference:
    """Write down one mapped node and return the reference to the list or dict of its results."""
    names, bound, results = split(building, task, fixed, args, kwargs)
    exprs = arguments.encoded(building, task, {name: value for name, value in bound.items() if name not in results})
    for name in names:
        exprs[name] = arguments.collection(building, bound[name])
    draft = building.add(task, exprs, over=names, role=role)
    return Reference(building, Ref(draft.key), result_hint(task, names, results), scope=building.scopes[-1])


def split(
    building: Building, task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Results]]:
    """The mapped parameters, all arguments by name, and per mapped parameter what its items are. Types are checked."""
    names, bound = bind_mapped(task.signature, fixed, args, kwargs)
    results: dict[str, Results] = {}
    for name in names:
        value = bound[name]
        if type(value) is Reference:
            building.own(value)
            found = shapes.mapped_over(value._tm_hint)
            if found is None:
                raise _not_mappable(task, name, f"the result of {value._tm_name!r}, declared as {shapes.readable(value._tm_hint)}")
            typecheck.require_each(value, found, task.signature.hint(name), task, name)
            results[name] = found
        else:
            bound[name] = collected(value, task, name)
            results[name] = Results(UNKNOWN, "dict" if isinstance(bound[name], dict) else "list")
            inner = bound[name].values() if isinstance(bound[name], dict) else bound[name]
            for item in inner:
                if type(item) is Reference:
                    typecheck.require(item, task.signature.hint(name), task, name)
    same_length(task, {name: bound[name] for name in names if type(bound[name]) is not Reference})
    if missing := [name for name in task.signature.missing(bound) if name not in building.wiring.fill(task, bound)]:
        raise task.signature.refuse_missing(missing)
    return names, bound, results


def bind_mapped(
    signature: Signature, fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of the mapped parameters, and all arguments. What is mapped by position fills the parameters that `.partial` left."""
    bound = signature.bind(*fixed)
    free = [name for name in signature.positional if name not in bound]
    if len(args) > len(free):
        what = f".map() was given {len(args)} things to map over by position, and {len(free)} parameters are left for them."
        raise BadCall(what, signature=signature.text, defined=place_of(signature.function), mend="Map over parameters, by name if need be.")
    by_position = dict(zip(free, args, strict=False))
    names = (*by_position, *kwargs)
    if not names:
        raise BadCall(
            ".map() was given nothing to map over.",
            signature=signature.text,
            defined=place_of(signature.function),
            mend="Give it a list or dict, or the result of a task that returns one. What is the same for all goes into .partial().",
        )
    if twice := (bound.keys() | by_position.keys()) & kwargs.keys():
        what = f"{min(twice)!r} was given twice: in .map() by name, and before."
        raise BadCall(what, signature=signature.text, defined=place_of(signature.function))
    signature.bind((), {**dict(fixed[1]), **kwargs})  # says so if a name is unknown
    return names, {**bound, **by_position, **kwargs}


def result_hint(task: Task[..., Any], names: Sequence[str], results: Mapping[str, Results]) -> Results:
    """The list or dict of what the task returns: a dict if any of the mapped things is one."""
    kinds = {results[name].kind for name in names}
    kind = "dict" if "dict" in kinds else ("" if "" in kinds else "list")
    return Results(task.result_hint, kind)


def collected(value: Any, task: Task[..., Any], name: str) -> list[Any] | tuple[Any, ...] | dict[Any, Any]:
    """A known thing to map over, as a list, tuple or dict. Raises for text, sets and what cannot be looped over."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        raise _not_mappable(task, name, "a set, whose order differs from run to run", "Write sorted(…) around it.")
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise _not_mappable(task, name, f"{value!r:.60}")
    return list(value)


def same_length(task: Task[..., Any], known: Mapping[str, Any]) -> None:
    """Raise unless all of `known` have one length: they are zipped."""
    lengths = {name: len(value) for name, value in known.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise BadDefinition(
            f"{task.name}.map() was given things of different lengths: {text}.",
            why="Several mapped parameters are taken together: the first of each, the second of each, and so on.",
            mend="Make them equally long; what is the same for all items goes into .partial().",
            where=here(),
        )


def _not_mappable(task: Task[..., Any], name: str, what: str, mend: str = "") -> BadDefinition:
    return BadDefinition(
        f"{task.name}.map() cannot map {name!r} over {what}.",
        why="It maps over a list, a tuple or a dict: one call per item.",
        mend=mend or f"What is the same for all items goes into .partial({name}=…).",
        where=here(),
    )

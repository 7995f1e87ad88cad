"""Whether what one task returns can be what the next one takes, asked while the graph is built.

An alarm only when it cannot be right: what is not declared passes, and so does what may fit at run time. Plain classes
and containers are compared here; for everything else beartype's `is_subhint` is asked (imported when first needed).
"""

from __future__ import annotations

import typing
from collections import abc
from types import GenericAlias, NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Union, get_args, get_origin, is_typeddict

from tidemill.authoring.assembly.references import Reference
from tidemill.authoring.places import here, place_of
from tidemill.authoring.problems import TypeMismatch
from tidemill.authoring.types.shapes import Results, readable
from tidemill.authoring.types.signatures import UNKNOWN

if TYPE_CHECKING:
    from tidemill.authoring.task import Task

__all__ = ["fits", "require", "require_each", "require_inside"]

_answers: dict[tuple[Any, Any], bool] = {}
_ANSWERS_LIMIT = 20_000

_TABLES = frozenset(
    {("polars", "DataFrame"), ("polars", "LazyFrame"), ("pandas", "DataFrame"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch")}
)  # each is turned into the others on the way from task to task
_COLUMNS = frozenset({("polars", "Series"), ("pandas", "Series"), ("pyarrow", "Array"), ("pyarrow", "ChunkedArray")})
_WIDER: dict[type, tuple[type, ...]] = {int: (float, complex), float: (complex,)}  # PEP 484, "the numeric tower"
_ABSTRACT = frozenset(
    {abc.Iterable, abc.Iterator, abc.Collection, abc.Container, abc.Sequence, abc.MutableSequence, abc.Mapping, abc.MutableMapping, abc.Set,
     abc.Hashable, abc.Sized, abc.Reversible}
)  # fmt: skip


def require(reference: Reference, expected: Any, task: Task[..., Any], name: str) -> None:
    """Raise `TypeMismatch` if the result cannot be what parameter `name` of `task` takes."""
    returned = reference._tm_hint
    if returned is UNKNOWN or expected is UNKNOWN or returned is expected or fits(returned, expected):
        return
    raise _mismatch(reference, returned, expected, task, name)


def require_each(reference: Reference, results: Results, expected: Any, task: Task[..., Any], name: str) -> None:
    """The same for each item of a mapped result."""
    if not fits(results.each, expected):
        raise _mismatch(reference, results.each, expected, task, name, of="Each item of the result")


def require_inside(value: Any, expected: Any, task: Task[..., Any], name: str) -> None:
    """The same for references inside a list, tuple, set or dict."""
    if not isinstance(value, (list, tuple, set, dict)) or expected is UNKNOWN:
        return
    args = get_args(expected)
    origin = get_origin(expected)
    inner = value.values() if isinstance(value, dict) else value
    for index, item in enumerate(inner):
        if type(item) is not Reference:
            continue
        if origin is tuple and args and args[-1] is not Ellipsis:
            part = args[index] if index < len(args) else UNKNOWN
        elif isinstance(value, dict):
            part = args[1] if len(args) == 2 else UNKNOWN
        else:
            part = args[0] if args and isinstance(origin, type) and issubclass(origin, abc.Iterable) else UNKNOWN
        require(item, part, task, name)


def fits(returned: Any, expected: Any) -> bool:
    """Whether a value declared as `returned` may be used where `expected` is declared."""
    try:
        answer = _answers.get((returned, expected))
    except TypeError:  # not hashable: an Annotated with a list in it
        return _fits(returned, expected, 0)
    if answer is None:
        answer = _fits(returned, expected, 0)
        if len(_answers) >= _ANSWERS_LIMIT:
            _answers.clear()
        _answers[returned, expected] = answer
    return answer


def _fits(returned: Any, expected: Any, depth: int) -> bool:
    if isinstance(returned, Results):
        return _results_fit(returned, expected, depth)
    returned, expected = _plain(returned), _plain(expected)
    if returned is UNKNOWN or expected is UNKNOWN or depth > 20 or returned is expected:
        return True
    arms = _arms(returned)
    if len(arms) > 1:
        some = [arm for arm in arms if _plain(arm) is not NoneType]  # a None may be looked for with `with when(…)`
        return any(_fits(arm, expected, depth + 1) for arm in some)
    wanted = _arms(expected)
    if len(wanted) > 1:
        return any(_fits(returned, arm, depth + 1) for arm in wanted)
    if get_origin(returned) is Literal:
        return any(_value_fits(value, expected, depth) for value in get_args(returned))
    if get_origin(expected) is Literal:
        return any(_fits(returned, type(value), depth + 1) for value in get_args(expected))
    return _classes_fit(returned, expected, depth)


def _classes_fit(returned: Any, expected: Any, depth: int) -> bool:
    if is_typeddict(returned) or is_typeddict(expected):
        return _typed_dicts_fit(returned, expected, depth)
    have, want = get_origin(returned) or returned, get_origin(expected) or expected
    if not (isinstance(have, type) and isinstance(want, type)) or type in (have, want) or want.__name__ == "Callable":
        return _ask_library(returned, expected)
    if getattr(want, "_is_protocol", False) or getattr(have, "_is_protocol", False):
        return _ask_library(returned, expected)
    if want in _WIDER.get(have, ()) or _both_in(have, want, _TABLES) or _both_in(have, want, _COLUMNS):
        return True
    # A wide abstract promise may hold the narrow thing: Sequence[int] where list[int] is taken.
    if not _is_subclass(have, want) and not (have in _ABSTRACT and _is_subclass(want, have)):
        return False
    return _arguments_fit(returned, expected, have, want, depth)


def _arguments_fit(returned: Any, expected: Any, have: type, want: type, depth: int) -> bool:
    given, taken = get_args(returned), get_args(expected)
    if not taken or (not given and (have.__module__ == "builtins" or getattr(have, "__parameters__", None))):
        return True
    if not given:
        return _ask_library(returned, expected)  # class Ints(list[int])
    if have is tuple:
        return _tuples_fit(given, taken, want, depth)
    if want is tuple:
        return all(_fits(given[0], one, depth + 1) for one in taken if one is not Ellipsis)
    if len(given) == len(taken):
        return all(_fits(one, other, depth + 1) for one, other in zip(given, taken, strict=True))
    if issubclass(have, abc.Mapping) and len(taken) == 1:  # a dict where an Iterable of its keys is taken
        return _fits(given[0], taken[0], depth + 1)
    return _ask_library(returned, expected)


def _tuples_fit(given: tuple[Any, ...], taken: tuple[Any, ...], want: type, depth: int) -> bool:
    open_given, open_taken = given[-1] is Ellipsis, taken[-1] is Ellipsis or want is not tuple
    parts = given[:-1] if open_given else given
    if open_taken:
        return all(_fits(part, taken[0], depth + 1) for part in parts)
    if open_given:
        return all(_fits(parts[0], one, depth + 1) for one in taken)
    return len(parts) == len(taken) and all(_fits(one, other, depth + 1) for one, other in zip(parts, taken, strict=True))


def _typed_dicts_fit(returned: Any, expected: Any, depth: int) -> bool:
    if is_typeddict(returned) and is_typeddict(expected):
        have, want = returned.__annotations__, expected.__annotations__
        return all(key in have for key in expected.__required_keys__ if key in want)
    other = expected if is_typeddict(returned) else returned
    origin = get_origin(other) or other
    if not isinstance(origin, type):
        return True
    if not (_is_subclass(dict, origin) or issubclass(origin, abc.Mapping)):
        return False
    args = get_args(other)
    return len(args) != 2 or _fits(args[0], str, depth + 1)


def _results_fit(results: Results, expected: Any, depth: int) -> bool:
    as_list = results.kind != "dict" and _fits(_of(list, results.each), expected, depth + 1)
    return as_list or (results.kind != "list" and _fits(_of(dict, results.each), expected, depth + 1))


def _of(container: type, each: Any) -> Any:
    inner: Any = each
    if isinstance(each, Results):
        kinds = {"list": (list,), "dict": (dict,)}.get(each.kind, (list, dict))
        inner = Union[tuple(_of(kind, each.each) for kind in kinds)]  # noqa: UP007 - how many is known at run time only
    inner = Any if inner is UNKNOWN else inner
    return GenericAlias(dict, (str, inner)) if container is dict else GenericAlias(list, (inner,))


def _plain(hint: Any) -> Any:
    """`hint` without what does not change the value: Annotated, Final, aliases, NewType, type variables."""
    for _ in range(20):
        if hint is Any or hint is object or isinstance(hint, (typing.TypeVar, str, typing.ForwardRef)):
            return UNKNOWN
        if hint is None:
            return NoneType
        if isinstance(hint, NewType):
            hint = hint.__supertype__
        elif get_origin(hint) in (Annotated, typing.Final, typing.ClassVar, typing.Required, typing.NotRequired):
            hint = get_args(hint)[0]
        elif type(hint).__name__ == "TypeAliasType":  # type X = …, Python 3.12
            hint = hint.__value__
        else:
            return hint
    return UNKNOWN


def _arms(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _value_fits(value: Any, expected: Any, depth: int) -> bool:
    if get_origin(expected) is Literal:
        return value in get_args(expected)
    return _fits(type(value), expected, depth + 1)


def _both_in(have: type, want: type, family: frozenset[tuple[str, str]]) -> bool:
    return _label(have) in family and _label(want) in family


def _label(kind: type) -> tuple[str, str]:
    return kind.__module__.split(".", 1)[0], kind.__name__


def _is_subclass(have: type, want: type) -> bool:
    try:
        return issubclass(have, want)
    except TypeError:  # a class that does not allow the question
        return True


def _ask_library(returned: Any, expected: Any) -> bool:
    from beartype.door import is_subhint  # lazily: 50 ms, and seldom needed

    try:
        return bool(is_subhint(returned, expected))
    except Exception:  # noqa: BLE001 - a hint that the library does not know is no reason for an alarm
        return True


def _mismatch(
    reference: Reference, returned: Any, expected: Any, task: Task[..., Any], name: str, *, of: str = "The result"
) -> TypeMismatch:
    return TypeMismatch(
        f"{task.name}() takes {readable(expected)} for {name!r}, and was given {readable(returned)}.",
        why=f"{of} of {reference._tm_name!r} is declared as {readable(returned)}; {task.name!r} is defined in {place_of(task.function)}.",
        mend="Change one of the two annotations, or put a task between them that converts.",
        where=here(),
    )

"""What a task call returns while a flow is built: a reference to what the task will return.

It can be passed on, indexed, mapped over and ordered. Anything that would need the value is an error that says
what to write instead. Knows no task and no engine; the flow being built is reached through `Origin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

from tidemill.authoring.problems import LazyResult
from tidemill.authoring.types import shapes
from tidemill.authoring.types.signatures import UNKNOWN
from tidemill.errors import Problem
from tidemill.graph.values import Expr, Item, PathStep, Ref

__all__ = ["Inverted", "Origin", "Reference", "contains_reference"]


class Origin(Protocol):
    """The flow being built, as far as references know it."""

    @property
    def flow_name(self) -> str:
        """For messages."""

    def order(self, before: Any, after: Any) -> None:
        """`after` starts only when `before` has ended."""


class Reference:
    """The future result of a task, or a part of it. Checkers see the result's own type instead."""

    __slots__ = ("_tm_expr", "_tm_group", "_tm_hint", "_tm_label", "_tm_origin", "_tm_scope")

    def __init__(self, origin: Origin, expr: Expr, hint: Any = UNKNOWN, *, scope: str = "", group: str = "", label: str = "") -> None:
        self._tm_origin = origin
        self._tm_expr = expr
        self._tm_hint = hint
        self._tm_scope = scope  # the innermost mapped group it belongs to
        self._tm_label = label  # of an asset: its name
        self._tm_group = group  # of the result of a flow inside a flow: its group

    # ------------------------------------------------------------ parts

    def _tm_part(self, step: PathStep, hint: Any) -> Reference:
        expr = self._tm_expr
        if self._tm_label and not isinstance(expr, (Ref, Item)):
            what = f"The flow takes a part of the asset {self._tm_label!r}."
            raise self._tm_refuse(what, "Pass it on whole, and take the part in a task.")
        if not isinstance(expr, (Ref, Item)):
            raise self._tm_refuse("This flow returned nothing, so it has no parts.", "Let the inner flow return what is needed.")
        if isinstance(expr, Ref):
            return Reference(self._tm_origin, Ref(expr.node, (*expr.path, step)), hint, scope=self._tm_scope)
        return Reference(self._tm_origin, Item(expr.group, (*expr.path, step), expr.name), hint, scope=self._tm_scope)

    def __getitem__(self, key: Any) -> Reference:
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            what = f"A part of the result of {self._tm_name!r} was asked for with {_kind(key)}."
            raise self._tm_refuse(what, "Only whole numbers and text lead into a result here; for anything else write a small task.")
        return self._tm_part(("item", key), shapes.item_hint(self._tm_hint, key, self._tm_complain))

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("_"):
            raise AttributeError(name)  # protocols that Python or a library looks for
        return self._tm_part(("attr", name), shapes.field_hint(self._tm_hint, name, self._tm_complain))

    def __iter__(self) -> Iterator[Any]:
        parts = shapes.unpacked_hints(self._tm_hint)
        if parts is None:
            raise self._tm_refuse(
                f"The flow loops over, or unpacks, the result of {self._tm_name!r}, whose length is not known yet.",
                f"Map over it: other_task.map({self._tm_word}). To unpack, declare the result: -> tuple[int, str].",
            )
        return iter([self._tm_part(("item", index), hint) for index, hint in enumerate(parts)])

    # ------------------------------------------------------------ order and conditions

    def __rshift__(self, other: Any) -> Any:
        self._tm_origin.order(self, other)
        return other

    def __rrshift__(self, other: Any) -> Reference:
        self._tm_origin.order(other, self)
        return self

    def __invert__(self) -> Inverted:
        return Inverted(self)

    # ------------------------------------------------------------ what needs the value

    def __bool__(self) -> NoReturn:
        raise self._tm_refuse(
            f"The flow asks whether the result of {self._tm_name!r} is true, which nobody knows yet.",
            f"Instead of `if`, `and`, `or`, `not` write: with when({self._tm_word}): … and with when(~{self._tm_word}): …, "
            "or decide inside a task. A @flow(dynamic=True) may use `if`.",
        )

    def __eq__(self, other: object) -> NoReturn:
        raise self._tm_compare("==")

    def __ne__(self, other: object) -> NoReturn:
        raise self._tm_compare("!=")

    def __hash__(self) -> int:
        return id(self)

    def __len__(self) -> NoReturn:
        raise self._tm_refuse(
            f"The flow asks for the length of the result of {self._tm_name!r}, which nobody knows yet.",
            f"Take the length inside a task, or map over it: other_task.map({self._tm_word}).",
        )

    def __contains__(self, item: object) -> NoReturn:
        raise self._tm_compare("in")

    def __str__(self) -> NoReturn:
        raise self._tm_text()

    def __format__(self, spec: str) -> NoReturn:
        raise self._tm_text()

    def __repr__(self) -> str:
        return f"<result of {self._tm_name} in the flow {self._tm_origin.flow_name}, not computed yet>"

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        what = f"The flow calls the result of {self._tm_name!r}, or a method of it, and the result is not there yet."
        raise self._tm_refuse(what, "Call it inside a task.")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise self._tm_refuse(
            f"The result of {self._tm_name!r} is inside an object that has to be stored.",
            "Pass results themselves, or inside lists, tuples, sets and dicts; make other objects inside a task.",
        )

    def __enter__(self) -> NoReturn:
        what = f"`with` was used on the result of {self._tm_name!r}."
        raise self._tm_refuse(what, f"Write with when({self._tm_word}): …, or with setup({self._tm_word}, teardown=…): …")

    def __exit__(self, *error: object) -> None:  # pragma: no cover - __enter__ refuses
        return None

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise self._tm_refuse(f"The flow changes the result of {self._tm_name!r}, which is not there yet.", "Change it inside a task.")

    # ------------------------------------------------------------ messages

    @property
    def _tm_name(self) -> str:
        expr = self._tm_expr
        if self._tm_label:
            return self._tm_label
        if isinstance(expr, Ref):
            return expr.node + "".join(f"[{step!r}]" if kind == "item" else f".{step}" for kind, step in expr.path)
        return f"{expr.group}:{expr.name}" if isinstance(expr, Item) else self._tm_group

    @property
    def _tm_word(self) -> str:
        return "ref" if not isinstance(self._tm_expr, Ref) or self._tm_expr.path else _identifier(self._tm_expr.node)

    def _tm_refuse(self, what: str, mend: str) -> LazyResult:
        return LazyResult(what, task=self._tm_name, flow=self._tm_origin.flow_name, mend=mend)

    def _tm_complain(self, what: str, mend: str) -> Problem:
        return self._tm_refuse(what.replace("{name}", repr(self._tm_name)), mend)

    def _tm_compare(self, operator: str) -> LazyResult:
        return self._tm_refuse(
            f"The flow compares the result of {self._tm_name!r} ({operator}), and the result is not there yet.",
            f"Compare inside a task that returns a bool, and write: with when(that_task({self._tm_word})): …",
        )

    def _tm_text(self) -> LazyResult:
        return self._tm_refuse(
            f"The flow makes text of the result of {self._tm_name!r} (str, print or an f-string), and the result is not there yet.",
            f"Make the text inside a task that takes {self._tm_word!r}. For a look while building, use repr().",
        )


def _arithmetic(operator: str) -> Any:
    def refuse(self: Reference, *_others: object) -> NoReturn:
        what = f"The flow computes with the result of {self._tm_name!r} ({operator}), and the result is not there yet."
        raise self._tm_refuse(what, f"Compute inside a task that takes {self._tm_word!r}.")

    return refuse


for _method, _operator in {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "matmul": "@",
    "and": "&", "or": "|", "xor": "^", "lshift": "<<", "divmod": "divmod",
}.items():  # fmt: skip
    setattr(Reference, f"__{_method}__", _arithmetic(_operator))
    setattr(Reference, f"__r{_method}__", _arithmetic(_operator))
for _method, _operator in {
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "neg": "-", "pos": "+", "abs": "abs", "int": "int()", "float": "float()",
    "complex": "complex()", "index": "as an index", "round": "round", "fspath": "as a path", "reversed": "reversed",
    "bytes": "bytes()",
}.items():  # fmt: skip
    setattr(Reference, f"__{_method}__", _arithmetic(_operator))


class Inverted:
    """`~ref`: the opposite condition, for `when`."""

    __slots__ = ("of",)

    def __init__(self, of: Reference) -> None:
        self.of = of

    def __invert__(self) -> Reference:
        return self.of

    def __bool__(self) -> bool:
        return bool(self.of)  # which says what to write instead

    def __repr__(self) -> str:
        return f"~{self.of!r}"


def contains_reference(value: Any) -> bool:
    """Whether a reference is in `value` or, at any depth, in its lists, tuples, sets and dicts."""
    kind = type(value)
    if kind is Reference or kind is Inverted or getattr(kind, "is_asset", False):
        return True
    if kind is dict:
        return any(contains_reference(inner) for pair in value.items() for inner in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(contains_reference(inner) for inner in value)
    return False


def _identifier(node: str) -> str:
    word = node.rsplit(".", 1)[-1].split("-", 1)[0]
    return word if word.isidentifier() else "ref"


def _kind(key: object) -> str:
    return "a slice" if isinstance(key, slice) else f"a {type(key).__name__}"

"""A flow function called once, with its calls written down: how a flow becomes a graph.

Knows tasks, flows and the values of `graph/`; runs no task. What is kept, and where, is decided by the `keep` it is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tidemill.authoring.assembly import arguments, mapping, ordering
from tidemill.authoring.assembly.drafts import Draft, GroupDraft
from tidemill.authoring.assembly.memory import InMemory
from tidemill.authoring.assembly.references import Inverted, Reference
from tidemill.authoring.assembly.shipping import Keep, Shipment
from tidemill.authoring.assembly.wiring import Wiring
from tidemill.authoring.calls import Fixed, caller
from tidemill.authoring.places import here
from tidemill.authoring.problems import BadDefinition, ForeignResult
from tidemill.authoring.types.signatures import UNKNOWN
from tidemill.graph.nodes import Graph, Role, When
from tidemill.graph.policy import Policy
from tidemill.graph.values import Expr, Item, Ref

if TYPE_CHECKING:
    from tidemill.authoring.flow import Flow
    from tidemill.authoring.resources.resource import Resource
    from tidemill.authoring.task import Task

__all__ = ["AssetNames", "Building", "Built", "build"]


class AssetNames(Protocol):
    """What assets stand for in the flow being built."""

    def named(self, name: str, function: Any, /) -> Any:
        """The asset or source of that name, as `function` would see it, or None."""

    def expr(self, building: Building, thing: Any, /) -> Expr:
        """What it stands for. Raises its `Problem`."""


class Built(msgspec.Struct, kw_only=True):
    """A graph and what stands behind it in this process.

    `functions`, `tasks` and `resources` are for running it here; `values` holds what was kept in memory, by digest,
    when no `keep` was given. Only `graph` crosses processes. The function of a driver node is the body of its flow:
    run it with `dynamic.run_driver`.
    """

    graph: Graph
    functions: dict[str, Callable[..., Any]]  # by TaskRef.name
    tasks: dict[str, Any]  # by TaskRef.name: the Task (or dynamic Flow) itself
    resources: dict[str, Any] = {}  # by name
    values: dict[str, Any] = {}


def build(
    flow: Flow[..., Any],
    arguments: Mapping[str, object] | None = None,
    *,
    keep: Keep | None = None,
    resources: Mapping[str, Resource] | None = None,
    assets: AssetNames | None = None,
) -> Built:
    """The graph of one run of `flow` with these parameters; parameters left out take their defaults.

    `keep` stores a value and returns its handle; without it values stay in memory and functions need not be
    importable. `resources` are those of the project by name; without them each task's module is looked through. `assets`
    says what these stand for; without it they are made in memory.
    Raises the `Problem` that the flow has, and whatever the user's code raises.
    """
    in_memory = InMemory() if keep is None else None
    building = Building(flow, keep or in_memory, ship=keep is not None, resources=resources)  # type: ignore[arg-type]
    building.assets = assets
    given = flow.signature.bind((), dict(arguments or {}))
    graph = building.run(given)
    return Built(
        graph=graph,
        functions={name: task.function for name, task in building.shipment.tasks.items()},
        tasks={name: getattr(task, "flow", task) for name, task in building.shipment.tasks.items()},
        resources=building.wiring.found,
        values=in_memory.values if in_memory else {},
    )


class Building:
    """The graph of one flow while it is being written. Answers calls as a `Caller`."""

    def __init__(self, flow: Flow[..., Any], keep: Keep, *, ship: bool, resources: Mapping[str, Resource] | None) -> None:
        self.flow = flow
        self.flow_name = flow.name
        self.keep = keep
        self.shipment = Shipment(keep, ship=ship)
        self.wiring = Wiring(resources, flow)
        self.assets: AssetNames | None = None
        self.drafts: list[Draft] = []
        self.groups: list[GroupDraft] = []
        self.orders: list[ordering.Order] = []
        self.group = ""  # key of the innermost group around what is called now
        self.scopes: tuple[str, ...] = ("",)  # the mapped groups around it, outermost first
        self.conditions: tuple[When, ...] = ()  # since the innermost mapped group
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}
        self._constants: dict[tuple[type, Any], Expr] = {}
        self._stack: list[Flow[..., Any]] = []

    # ------------------------------------------------------------ the whole

    def run(self, given: Mapping[str, Any]) -> Graph:
        """Call the flow and return its graph."""
        flow = self.flow
        read = self._read_assets(given)
        if missing := flow.signature.missing({**given, **read}):
            raise flow.signature.refuse_missing(missing)
        params = {**{name: flow.signature.defaults[name] for name in flow.signature.names if name in flow.signature.defaults}, **given}
        actual = {**params, **read}
        token = caller.set(self)
        try:
            if flow.dynamic:
                result: Any = self.call_flow(flow, (), actual)
            else:
                result = self._body(flow, (), actual)
            output = None if result is None else self.encode(result)
            self._hooks(flow, only=())
        finally:
            caller.reset(token)
        ordering.settle(self.orders, self.drafts, self.groups)
        return Graph(
            flow=flow.name,
            nodes=tuple(draft.node() for draft in self.drafts),
            groups=tuple(group.group() for group in self.groups),
            output=output,
            params={name: self.keep(value) for name, value in params.items() if name not in read},
            fail_fast=flow.options.fail_fast,
            max_active=flow.options.max_active,
            timeout=flow.options.timeout,
        )

    def part(self, given: Mapping[str, Any], group: GroupDraft) -> Expr:
        """Call the flow as a group of a larger graph; what it returns. Its nodes are in `drafts`, its groups in `groups`."""
        flow = self.flow
        token = caller.set(self)
        try:
            with self.inside(flow, group):
                if flow.dynamic:
                    result: Any = self.call_flow(flow, (), given)
                else:
                    result = self._body(flow, (), given)
                    self._hooks(flow, only=tuple(draft.key for draft in self.drafts))
            output = self.encode(result)
        finally:
            caller.reset(token)
        ordering.settle(self.orders, self.drafts, self.groups)
        return output

    def _body(self, flow: Flow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if flow in self._stack:
            path = " → ".join(one.name for one in (*self._stack, flow))
            raise BadDefinition(
                f"The flow {flow.name!r} calls itself: {path}.",
                why="A flow is called once to build its graph, so such a graph would have no end.",
                mend="Map over a list instead, or make it a @flow(dynamic=True).",
                where=here(),
            )
        self._stack.append(flow)
        try:
            return flow.function(*args, **kwargs)
        finally:
            self._stack.pop()

    def _read_assets(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of the flow that name assets, and were not given."""
        flow = self.flow
        token = caller.set(self)
        try:
            found = {name: self.asset(name, flow.function) for name in flow.signature.required if name not in given}
            there = {name: one for name, one in found.items() if one is not None}
            return {name: Reference(self, self.current(one), one.result_hint, label=one.name) for name, one in there.items()}
        finally:
            caller.reset(token)

    def _hooks(self, flow: Flow[..., Any], *, only: tuple[str, ...]) -> None:
        roles: list[tuple[Role, Task[..., Any] | None]] = [("on_failure", flow.options.on_failure), ("on_exit", flow.options.on_exit)]
        for role, hook in roles:
            if hook is not None:
                parameter = hook.signature.names[0] if hook.signature.required else ""
                self.add(hook, {}, role=role, guards=only, hook=parameter)

    # ------------------------------------------------------------ answers to calls

    def call_task(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reference:
        bound = task.signature.bind(args, kwargs)
        draft = self.add(task, arguments.encoded(self, task, bound))
        return Reference(self, Ref(draft.key), task.result_hint, scope=self.scopes[-1])

    def map_task(self, task: Task[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reference:
        return mapping.map_task(self, task, fixed, args, kwargs)

    def call_flow(self, flow: Flow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        bound = flow.signature.bind(args, kwargs)
        if flow.dynamic:
            draft = self.add(flow.as_task, arguments.encoded(self, flow.as_task, bound), role="driver")
            return Reference(self, Ref(draft.key), flow.as_task.result_hint, scope=self.scopes[-1])
        arguments.check(self, flow.as_task, bound)
        with self.inside(flow) as group:
            first = len(self.drafts)
            result = self._body(flow, args, kwargs)
            self._hooks(flow, only=tuple(draft.key for draft in self.drafts[first:]))
        if result is None or isinstance(result, Reference):
            # A reference of its own, so that `flow_a() >> flow_b()` orders all that is in them.
            expr = self.encode(result)
            hint = result._tm_hint if isinstance(result, Reference) else type(None)
            return Reference(self, expr, hint, scope=self.scopes[-1], group=group.key)
        return result

    def map_flow(self, flow: Flow[..., Any], fixed: Fixed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Reference:
        if flow.dynamic:
            return mapping.map_task(self, flow.as_task, fixed, args, kwargs, role="driver")
        names, bound, results = mapping.split(self, flow.as_task, fixed, args, kwargs)
        over = {name: arguments.collection(self, bound[name]) for name in names}
        mapped = GroupDraft(self.new_key(flow.name), flow.name, self.group, over=over, when=self.conditions)
        outer = self.scopes, self.conditions
        with self.inside(flow, mapped):
            self.scopes, self.conditions = (*self.scopes, mapped.key), ()
            try:
                real = dict(bound)
                for name in names:
                    hint = results[name].each if results[name].each is not UNKNOWN else flow.signature.hint(name)
                    real[name] = Reference(self, Item(mapped.key, (), name), hint, scope=mapped.key)
                first = len(self.drafts)
                result = self._body(flow, (), real)
                self._hooks(flow, only=tuple(draft.key for draft in self.drafts[first:]))
                mapped.output = self.encode(result)
            finally:
                self.scopes, self.conditions = outer
        hint = mapping.result_hint(flow.as_task, names, results)
        return Reference(self, Ref(mapped.key), hint, scope=self.scopes[-1])

    # ------------------------------------------------------------ assets

    def asset(self, name: str, function: Any) -> Any:
        """The asset or source of that name, or None."""
        if self.assets is None:
            if "tidemill.authoring.assets.asset" not in sys.modules:
                return None  # nobody asked for `asset`, so there is none
            from tidemill.authoring.assets.current import MadeInMemory  # lazily: it stands on this module

            self.assets = MadeInMemory()
        return self.assets.named(name, function)

    def current(self, thing: Any) -> Expr:
        """What an asset or source stands for here. Raises its `Problem`."""
        if self.assets is None:
            self.asset("", None)
        assert self.assets is not None
        return self.assets.expr(self, thing)

    # ------------------------------------------------------------ pieces

    def add(
        self, task: Task[..., Any], args: dict[str, Expr], *, over: tuple[str, ...] = (), role: Role = "task",
        setup: str = "", guards: tuple[str, ...] = (), hook: str = "",
    ) -> Draft:  # fmt: skip
        """Write down one node."""
        signature = task.signature
        resources = self.wiring.fill(task, args)
        if missing := [name for name in signature.required if name not in args and name not in resources and name != hook]:
            args = {**args, **{name: self.current(found) for name in missing if (found := self.asset(name, task.function)) is not None}}
            if missing := [name for name in missing if name not in args]:
                raise signature.refuse_missing(missing)
        draft = Draft(
            self.new_key(task.name),
            self.shipment.ref(task),
            args,
            over=over,
            when=self.conditions,
            group=self.group,
            policy=_driver_policy(task.policy) if role == "driver" else task.policy,
        )
        draft.scope = self.scopes[-1]
        draft.role, draft.setup, draft.guards, draft.hook = role, setup, guards, hook
        draft.resources, draft.returns, draft.calls_with = resources, task.returns, signature.style
        if task.after:
            for before in task.after:
                self.order(before, Reference(self, Ref(draft.key), scope=draft.scope))
        self.drafts.append(draft)
        return draft

    def new_key(self, name: str) -> str:
        """A key for the next node or group of that name: "clean", "clean-2", "report.clean"."""
        stem = f"{self.group}.{name}" if self.group else name
        count = self._counts.get(stem, 0) + 1
        key = stem if count == 1 else f"{stem}-{count}"
        while key in self._taken:
            count += 1
            key = f"{stem}-{count}"
        self._counts[stem] = count
        self._taken.add(key)
        return key

    def encode(self, value: Any) -> Expr:
        """`value` as an expression: a reference, a constant, or a structure of both. Raises `ForeignResult`."""
        return arguments.expression(self, value)

    def constant(self, value: Any) -> Expr:
        """A literal, kept once when it is small and plain."""
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            found = self._constants.get((kind, value))
            if found is None:
                found = self._constants[kind, value] = arguments.constant(self.keep(value))
            return found
        return arguments.constant(self.keep(value))

    def own(self, reference: Reference) -> Expr:
        """The expression of a reference, if it may be used here. Raises `ForeignResult`."""
        if reference._tm_origin is not self:
            raise ForeignResult(
                f"The result of {reference._tm_name!r} belongs to another building of the flow {reference._tm_origin.flow_name!r}, "
                f"and was used in {self.flow_name!r}.",
                why="A reference means something only in the graph in which its task was called.",
                mend="Pass it as an argument or return it from the flow; do not keep it in a global or an outer list.",
                where=here(),
            )
        if reference._tm_scope not in self.scopes:
            raise ForeignResult(
                f"The result of {reference._tm_name!r} was used outside the mapped flow in which it is made.",
                why="Inside a mapped flow there is one such result per item.",
                mend="Return it from the mapped flow: outside, the result of .map is the list of what was returned.",
                where=here(),
            )
        return reference._tm_expr

    def order(self, before: Any, after: Any) -> None:
        """`after` starts only when `before` has ended. Both: a reference, or a list or tuple of them."""
        self.orders.append(ordering.Order(ordering.targets(self, before), ordering.targets(self, after)))

    def scope_around(self, group: GroupDraft) -> str:
        """The innermost mapped group around `group`."""
        around = {one.key: one for one in self.groups}
        key = group.parent
        while key and not around[key].over:
            key = around[key].parent
        return key

    @contextmanager
    def inside(self, flow: Flow[..., Any], group: GroupDraft | None = None) -> Iterator[GroupDraft]:
        """What is called in the block belongs to a group of its own."""
        group = group or GroupDraft(self.new_key(flow.name), flow.name, self.group)
        self.groups.append(group)
        outer, self.group = self.group, group.key
        try:
            yield group
        finally:
            self.group = outer

    @contextmanager
    def only_if(self, condition: Reference | Inverted) -> Iterator[None]:
        """What is called in the block runs only if the condition holds."""
        of = condition.of if isinstance(condition, Inverted) else condition
        added = When(self.own(of), is_=not isinstance(condition, Inverted))
        outer, self.conditions = self.conditions, (*self.conditions, added)
        try:
            yield
        finally:
            self.conditions = outer


def _driver_policy(policy: Policy) -> Policy:
    return msgspec.structs.replace(policy, executor="thread")

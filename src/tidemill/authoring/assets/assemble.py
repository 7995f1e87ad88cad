"""A graph that builds assets: one node for each target, a group of nodes for a flow, all in order of their inputs.

Knows definitions, and the versions of everything else as handles that it is given. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill.authoring.assembly.drafts import GroupDraft
from tidemill.authoring.assembly.memory import InMemory
from tidemill.authoring.assembly.references import Reference
from tidemill.authoring.assembly.shipping import Keep, Shipment
from tidemill.authoring.assets.asset import Asset, FlowAsset, Maker, Output
from tidemill.authoring.assets.current import OnlyParameters
from tidemill.authoring.assets.parts import CodeOf, code_by_itself, parts_of
from tidemill.authoring.assets.problems import NotBuilt
from tidemill.authoring.assets.sources import PREVIOUS, Source
from tidemill.authoring.assets.wiring import Wired, wire
from tidemill.authoring.building import Building, Built
from tidemill.authoring.definitions.params import BadParameter, typed
from tidemill.authoring.identity import pickled
from tidemill.graph.assets import Publication
from tidemill.graph.nodes import CyclicGraph, Graph, Group, Node, TaskRef, find_cycle
from tidemill.graph.policy import Policy
from tidemill.graph.values import Constant, Expr, Handle, Ref

if TYPE_CHECKING:
    from tidemill.authoring.definitions import Definitions

__all__ = ["OBSERVED", "assemble"]

OBSERVED = "a source is looked at each time"


def assemble(
    definitions: Definitions,
    targets: Iterable[str],
    *,
    shown: Mapping[str, Handle] | None = None,
    forced: Mapping[str, str] | None = None,
    params: Mapping[str, object] | None = None,
    keep: Keep | None = None,
    code_of: CodeOf = code_by_itself,
    name: str = "assets",
) -> Built:
    """The graph that makes a version of each target; what else they read has its version in `shown`.

    The key of a node is the asset's name. `forced` says of an asset why it is computed whatever is remembered; `params`
    are run parameters, for each asset that has them. Without `keep`, values stay in memory.
    Raises `Unknown`, `NotBuilt`, `BadParameter`, `CyclicGraph`, and what wiring raises.
    """
    work = _Assembly(definitions, shown or {}, forced or {}, dict(params or {}), keep=keep, code_of=code_of, name=name)
    return work.run(list(dict.fromkeys(targets)))


class _Assembly:
    def __init__(
        self,
        definitions: Definitions,
        shown: Mapping[str, Handle],
        forced: Mapping[str, str],
        params: dict[str, Any],
        *,
        keep: Keep | None,
        code_of: CodeOf,
        name: str,
    ) -> None:
        self.definitions = definitions
        self.shown = shown
        self.forced = forced
        self.params = params
        self.memory = InMemory() if keep is None else None
        self.keep: Keep = keep or self.memory  # type: ignore[assignment]
        self.ship = keep is not None
        self.code_of = code_of
        self.name = name
        self.shipment = Shipment(self.keep, ship=self.ship)
        self.makers: dict[str, Any] = {}  # by TaskRef.name
        self.nodes: list[Node] = []
        self.groups: list[Group] = []
        self.keys: set[str] = set()
        self.resources: dict[str, Any] = {}

    def run(self, targets: list[str]) -> Built:
        found = {name: self.definitions.asset(name) for name in targets}
        wired = {name: wire(self.definitions, name) for name in found}
        waits = {name: tuple(dict.fromkeys(up for up in one.inputs.values() if up in found)) for name, one in wired.items()}
        if path := find_cycle(waits):
            raise CyclicGraph(path)
        self._check_params(found, wired)
        self.keys = set(found)
        for name in _in_order(waits):
            self._add(name, found[name], wired[name])
        graph = Graph(
            flow=self.name,
            nodes=tuple(self.nodes),
            groups=tuple(self.groups),
            params={name: self.keep(value) for name, value in self.params.items()},
        )
        tasks = {**self.shipment.tasks, **self.makers}
        functions = {name: task.function for name, task in tasks.items()}
        values = self.memory.values if self.memory else {}
        return Built(graph=graph, functions=functions, tasks=tasks, resources=self.resources, values=values)

    def _check_params(self, found: Mapping[str, Any], wired: Mapping[str, Wired]) -> None:
        taken = {setting for one in wired.values() for setting in one.settings}
        for given in self.params:
            if given not in taken:
                known = f"They take: {', '.join(sorted(taken))}." if taken else "They take none."
                raise BadParameter(f"No asset that is built here has a parameter {given!r}.", why=known)
        for name, one in wired.items():
            if missing := [setting for setting in one.required if setting not in self.params]:
                raise BadParameter(
                    f"The asset {name!r} needs a value for {', '.join(map(repr, missing))}.",
                    why="It is no asset, source or resource, and has no default: it is a run parameter.",
                    mend=f"Give it: tidemill run {name} {' '.join(f'--param {setting}=…' for setting in missing)}",
                )
        # One parameter has one value in a run, as the type of the first asset that takes it.
        for given, raw in list(self.params.items()):
            owner = next(found[name] for name, one in wired.items() if given in one.settings)
            self.params[given] = typed(owner, given, raw, None)

    # ------------------------------------------------------------ nodes

    def _add(self, name: str, found: Any, wired: Wired) -> None:
        self.resources |= {one: self.definitions.resource_objects[one] for one in wired.resources}
        digest, parts = parts_of(found, wired, self.code_of, self.params)
        args = {parameter: self._input(upstream, name) for parameter, upstream in wired.inputs.items()}
        if isinstance(found, Source):
            if name in self.shown and self.ship:
                args[PREVIOUS] = Constant(self.shown[name])
            self._node(name, found, args, parts, wired, digest=digest, forced=self.forced.get(name) or OBSERVED)
            return
        if isinstance(found, FlowAsset):
            args["result"] = self._flow(name, found, wired)
        elif isinstance(found, Asset):
            args |= {setting: Constant(self.keep(self.params[setting])) for setting in wired.settings if setting in self.params}
        self._node(name, found, args, parts, wired, digest=digest, forced=self.forced.get(name, ""))

    def _node(self, name: str, found: Any, args: dict[str, Expr], parts: dict[str, str], wired: Wired, *, digest: str, forced: str) -> None:
        owner = found.of if isinstance(found, Output) else found
        maker = owner.maker(name)
        if isinstance(owner, Source) and not self.ship:
            maker = _in_memory(owner, maker)
        ref = self._ref(found, owner, digest)
        self.makers[ref.name] = maker
        self.nodes.append(
            Node(
                key=name,
                task=ref,
                args=args,
                # Taking a part out of a value needs nothing of what it took to make it.
                policy=Policy(tags=owner.policy.tags) if isinstance(found, Output) else owner.policy,
                resources=() if isinstance(found, FlowAsset) else wired.resources,
                publishes=Publication(
                    asset=name, parts=parts, inputs=wired.inputs, forced=forced,
                    expires_after=owner.about.fresh if isinstance(found, Asset) else None,
                ),
                returns=getattr(owner, "returns", "") if found is owner else "",
            )
        )  # fmt: skip

    def _input(self, upstream: str, reader: str) -> Expr:
        if upstream in self.keys:
            return Ref(upstream)
        if upstream in self.shown:
            return Constant(self.shown[upstream])
        raise NotBuilt([upstream], reader=repr(reader))

    def _ref(self, found: Any, owner: Any, digest: str) -> TaskRef:
        if isinstance(owner, Source):
            return self._source_ref(owner, digest)
        ref = self.shipment.ref(owner)
        qualname = f"{ref.qualname}#{found.field}" if isinstance(found, Output) else ref.qualname
        return msgspec.structs.replace(ref, qualname=qualname, version=digest)

    def _source_ref(self, source: Source[Any], digest: str) -> TaskRef:
        importable = bool(source.variable) and source.module != "__main__"
        code = None if importable or not self.ship else self.keep(pickled(source, source.observe))
        return TaskRef(source.module or "__main__", source.variable or source.name, code, digest)

    # ------------------------------------------------------------ flows

    def _flow(self, name: str, asset: FlowAsset[..., Any], wired: Wired) -> Expr:
        """The nodes of a flow, as a group; what it returns."""
        building = Building(asset.flow, self.keep, ship=self.ship, resources=self.definitions.resource_objects)
        building.shipment = self.shipment
        building.assets = OnlyParameters(self.definitions, name)
        given: dict[str, Any] = {setting: self.params[setting] for setting in wired.settings if setting in self.params}
        for parameter, upstream in wired.inputs.items():
            hint = self.definitions.asset(upstream).result_hint
            given[parameter] = Reference(building, self._input(upstream, name), hint, label=upstream)
        for parameter in wired.resources:
            given[parameter] = self.definitions.resource_objects[parameter]
        output = building.part(given, GroupDraft(f"{name}.flow", asset.flow.name, ""))
        self.nodes += [draft.node() for draft in building.drafts]
        self.groups += [group.group() for group in building.groups]
        self.resources |= building.wiring.found
        return output


def _in_memory(source: Source[Any], maker: Maker) -> Maker:
    """In memory there is no version to be told by a token: readers get the value at once."""

    def look(**resources: Any) -> Any:
        return source.observe(None, **resources).value

    return msgspec.structs.replace(maker, function=look)


def _in_order(waits: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Names such that each comes after those it waits for; there is no cycle."""
    order: list[str] = []
    left = {name: len(before) for name, before in waits.items()}
    readers: dict[str, list[str]] = {}
    for name, before in waits.items():
        for upstream in before:
            readers.setdefault(upstream, []).append(name)
    order = [name for name, count in left.items() if count == 0]
    for name in order:  # grows while it is read
        for reader in readers.get(name, ()):
            left[reader] -= 1
            if left[reader] == 0:
                order.append(reader)
    return order

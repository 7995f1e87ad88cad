"""References made into handles: what a place is given, once all that it reads has ended. Reads the run, changes nothing."""

from __future__ import annotations

import blake3
import msgspec

from tidemill.graph.values import At, Constant, Expr, Handle, Item, Nothing, PathStep, Ref, Several, Shape
from tidemill.graph.work import Job, Start
from tidemill.machine.run import Place, Run, Scope
from tidemill.machine.states import BAD_ENDS

_encode = msgspec.json.encode


def resolve(run: Run, expr: Expr, scope: Scope) -> Expr:
    """`expr` as seen from `scope`, with every reference made into `At`, `Nothing`, or `Several` of these."""
    if isinstance(expr, Ref):
        place = run.seen_from(expr.node, scope)
        return _result(run, place, expr.path) if place else Nothing()
    if isinstance(expr, Item):
        return _item(run, expr, scope)
    if isinstance(expr, Several):
        return Several(expr.kind, tuple(resolve(run, item, scope) for item in expr.items), expr.names)
    return expr


def part(expr: Expr, path: tuple[PathStep, ...]) -> Expr:
    """The part of a resolved expression at `path`, as far as it can be found without decoding."""
    while path and isinstance(expr, Several):
        (kind, key), path = path[0], path[1:]
        if kind == "item" and expr.kind == "dict":
            if str(key) not in expr.names:
                return Nothing()
            expr = expr.items[expr.names.index(str(key))]
        elif isinstance(key, int) and -len(expr.items) <= key < len(expr.items):
            expr = expr.items[key]
        else:
            return Nothing()
    if not path or isinstance(expr, Nothing):
        return expr
    if isinstance(expr, At):
        return At(expr.handle, (*expr.path, *path))
    if isinstance(expr, Constant):
        return At(expr.handle, path)
    return expr


def _result(run: Run, place: Place, path: tuple[PathStep, ...]) -> Expr:
    if place.group is not None:
        output = place.group.output
        parts = [resolve(run, output, (*place.scope, (place.group.key, n))) if output else Nothing() for n in range(place.size or 0)]
        whole: Expr = _gathered(place, tuple(parts))
        return part(whole, path)
    if place.mapped:
        if not path:
            return _gathered(place, tuple(_unit(unit.handle) for unit in place.units))
        return part(_gathered(place, tuple(_unit(unit.handle) for unit in place.units)), path)
    handle = place.units[0].handle
    return At(handle, path) if handle is not None else Nothing()


def _unit(handle: Handle | None) -> Expr:
    return At(handle) if handle is not None else Nothing()


def _gathered(place: Place, parts: tuple[Expr, ...]) -> Several:
    if place.keys is not None:
        return Several("dict", parts, place.keys)
    return Several("list", parts)


def _item(run: Run, item: Item, scope: Scope) -> Expr:
    for depth, (group, index) in enumerate(scope):
        if group == item.group:
            over = run.group(group).over
            source = over[item.name] if item.name else next(iter(over.values()))
            return part(_nth(run, source, scope[:depth], index), item.path)
    return Nothing()


def _nth(run: Run, source: Expr, scope: Scope, index: int) -> Expr:
    """The n-th part of `source`, without making the others: each item of a group over thousands asks for its own."""
    if isinstance(source, Several):
        return resolve(run, source.items[index], scope)
    place = run.seen_from(source.node, scope) if isinstance(source, Ref) and not source.path else None
    if place is not None and place.group is not None:
        output = place.group.output
        return resolve(run, output, (*place.scope, (place.group.key, index))) if output else Nothing()
    if place is not None and place.mapped:
        return _unit(place.units[index].handle)
    return part(resolve(run, source, scope), (("nth", index),))


# ---------------------------------------------------------------- what can be said without decoding


def truth(expr: Expr) -> bool | None:
    """bool(value), or None when only a worker can say."""
    if isinstance(expr, Nothing):
        return False
    if isinstance(expr, Several):
        return bool(expr.items)
    if isinstance(expr, (At, Constant)) and not getattr(expr, "path", ()):
        return expr.handle.shape.truth if expr.handle.shape else None
    return None


def shape(expr: Expr) -> Shape | None:
    """Length and keys of what is to be mapped over, or None when only a worker can say."""
    if isinstance(expr, Several):
        return Shape(length=len(expr.items), keys=expr.names if expr.kind == "dict" else None, kind=expr.kind)
    if isinstance(expr, (At, Constant)) and not getattr(expr, "path", ()):
        found = expr.handle.shape
        if found is not None and found.length is not None and (found.kind != "dict" or found.keys is not None):
            return found
    return None


# ---------------------------------------------------------------- work


def job(run: Run, place: Place, *, environment: str = "default") -> Job:
    """What all starts of `place` share. Its upstream has ended."""
    node = place.node
    assert node is not None
    fixed: dict[str, Expr] = {}
    over: dict[str, At] = {}
    for name, expr in node.args.items():
        found = resolve(run, expr, place.scope)
        if name not in node.over:
            fixed[name] = found
        elif isinstance(found, At):
            over[name] = found
        elif isinstance(found, Constant):
            over[name] = At(found.handle)
    if node.hook:
        fixed[node.hook] = Constant(plain_handle(hook_facts(run, place)))
    return Job(
        id=f"{run.id}/{place.path}",
        run=run.id,
        flow=run.graph.flow,
        place=place.path,
        task=node.task,
        args=fixed,
        over=over,
        resources=node.resources,
        policy=node.policy,
        calls_with=node.calls_with,
        mapped=bool(node.over),
        driver=node.role == "driver",
        names=place.keys,
        environment=environment,
        returns=node.returns,
        asset=node.publishes.asset if node.publishes else "",
    )


def spread(run: Run, place: Place) -> dict[str, Several]:
    """The mapped parameters whose items have handles of their own, so that each start carries its own."""
    node = place.node
    if node is None or not node.over:
        return {}
    found = {name: resolve(run, node.args[name], place.scope) for name in node.over}
    return {name: expr for name, expr in found.items() if isinstance(expr, Several)}


def start(place: Place, n: int, spread_over: dict[str, Several]) -> Start:
    """The next attempt of unit `n`."""
    unit = place.units[n]
    policy = place.policy
    memory = policy.memory
    if memory is not None and unit.grown:
        memory = int(memory * policy.memory_growth**unit.grown)
    args: dict[str, Expr] | None = {name: items.items[n] for name, items in spread_over.items()} or None
    return Start(n, unit.attempt + 1, args, memory)


def hook_facts(run: Run, place: Place) -> dict[str, object]:
    """What a hook is told of the run (or of the inner flow it guards)."""
    node = place.node
    assert node is not None
    if node.guards:
        guarded = [found for key in node.guards if (found := run.seen_from(key, place.scope)) is not None]
    else:
        guarded = [one for one in run.places.values() if not run.is_flow_hook(one)]
    failed = [one.path for one in guarded if one.state in BAD_ENDS and one.called_by is None]
    if run.stopping is not None and run.stopped_by not in ("fail_fast", "timeout"):
        state = "cancelled"
    else:
        state = "failed" if failed else "succeeded"
    return {"run": run.id, "flow": run.graph.flow, "state": state, "failed": failed}


def plain_handle(value: object) -> Handle:
    """A handle of plain JSON data that carries its own bytes."""
    data = _encode(value)
    return Handle("json", blake3.blake3(data).hexdigest(), len(data), data=data, type=type(value).__qualname__)


def output(run: Run) -> Expr | None:
    """What the flow returns, resolved; None while something it reads has not ended, or when it returns nothing."""
    if run.graph.output is None:
        return None
    return resolve(run, run.graph.output, ())


__all__ = ["hook_facts", "job", "output", "part", "plain_handle", "resolve", "shape", "spread", "start", "truth"]

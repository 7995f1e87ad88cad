"""`with when(...)` and `with setup(...)`: blocks of a flow that run under a condition, or between two tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tidemill.authoring.assembly import arguments
from tidemill.authoring.assembly.drafts import Draft, GroupDraft
from tidemill.authoring.assembly.references import Inverted, Reference
from tidemill.authoring.building import Building
from tidemill.authoring.calls import caller
from tidemill.authoring.places import here
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.task import Partial, Task
from tidemill.graph.values import Ref

__all__ = ["setup", "when"]

R = TypeVar("R")


@contextmanager
def when(condition: object) -> Iterator[None]:
    """What is called in the block runs only if `condition`, the result of a task, is true; `~condition`: only if it is not.

    Blocks inside blocks add up. What was skipped reads as None. Raises `BadDefinition` outside a flow and for known values.
    """
    building = _building("when")
    if not isinstance(condition, (Reference, Inverted)):
        raise BadDefinition(
            f"when() was given {condition!r:.60}, which is known already.",
            why="`when` decides by the result of a task, while the flow runs.",
            mend="For the flow's own parameters and other known values write a plain `if`.",
            where=here(),
        )
    with building.only_if(condition):
        yield


@contextmanager
def setup(resource: R, *, teardown: Task[..., Any] | Partial[Any]) -> Iterator[R]:
    """A pair around a block: after its tasks, whatever became of them, the teardown runs.

    Write `with setup(start(), teardown=stop) as cluster:`. `stop` is called with the result of the setup if it has a
    parameter left for it. Tasks in the block start
    only after the setup. Raises `BadDefinition`.
    """
    building = _building("setup")
    if not isinstance(resource, Reference) or not isinstance(resource._tm_expr, Ref) or resource._tm_expr.path or resource._tm_group:
        raise _bad_setup(f"setup() was given {resource!r:.60}, which is not the call of a task.", "Write: with setup(start(), …) as it: …")
    closer: object = teardown.of if type(teardown) is Partial else teardown
    if not isinstance(closer, Task):
        raise _bad_setup(f"teardown={teardown!r:.60} is not a task.", "Give the task itself, without calling it, or its .partial(…).")
    building.own(resource)
    key = resource._tm_expr.node
    opener = next(draft for draft in reversed(building.drafts) if draft.key == key)
    if opener.over:
        raise _bad_setup(f"setup() was given the mapped task {key!r}.", "Put setup and teardown into a flow, and map that.")
    opener.role = "setup"
    nodes, groups = len(building.drafts), len(building.groups)
    yield resource
    inside = [draft for draft in building.drafts[nodes:] if draft.scope == building.scopes[-1]]
    mapped = [group for group in building.groups[groups:] if group.over and building.scope_around(group) == building.scopes[-1]]
    block: list[Draft | GroupDraft] = [*inside, *mapped]
    for draft in block:
        if not any(ref.node == key for ref in draft.reads()):
            draft.after[key] = None
    bound = closer.signature.bind(teardown.args, teardown.kwargs) if isinstance(teardown, Partial) else {}
    open_names = [name for name in closer.signature.names if name not in bound and name not in building.wiring.fill(closer, bound)]
    if open_names:
        bound = {open_names[0]: resource, **bound}
    guards = tuple(one.key for one in block)
    building.add(closer, arguments.encoded(building, closer, bound), role="teardown", setup=key, guards=guards)


def _building(word: str) -> Building:
    found = caller.get()
    if isinstance(found, Building):
        return found
    if found is None:
        raise _outside(word, "there is no flow here", "Call it inside a @flow function.")
    mend = "write a plain `if`." if word == "when" else "write try: … finally: …"
    raise _outside(word, "the body of a dynamic flow has real values", f"In a dynamic flow {mend}")


def _outside(word: str, why: str, mend: str) -> BadDefinition:
    return BadDefinition(f"{word}() was used where no flow is being built.", why=f"It shapes a graph, and {why}.", mend=mend, where=here())


def _bad_setup(what: str, mend: str) -> BadDefinition:
    why = "A setup is one task, and its teardown another that runs when all between them has ended."
    return BadDefinition(what, why=why, mend=mend, where=here())

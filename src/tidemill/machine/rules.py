"""May a place go, must it be left out, and why: `run_if` over what it waited for. Reads the run, changes nothing."""

from __future__ import annotations

from typing import NamedTuple

from tidemill.machine.run import AFTERMATH, Place, Run
from tidemill.machine.states import BAD_ENDS, GOOD_ENDS, TaskState


class Verdict(NamedTuple):
    """`state` is None when the place may go; else the state it ends in. `because` is what people read."""

    state: TaskState | None
    because: str


GO = Verdict(None, "")


def judge(run: Run, place: Place) -> Verdict:
    """What becomes of `place`, all of whose upstream has ended (conditions aside)."""
    role = place.role
    if role == "teardown":
        return _teardown(run, place)
    if role in ("on_failure", "on_exit"):
        return _hook(run, place)
    if run.stopping is not None:
        return Verdict(TaskState.CANCELLED, run.stopping)
    return _by_rule(place, place.policy.run_if)


def _by_rule(place: Place, rule: str) -> Verdict:
    bad = next((one for one in place.upstream if one.state in BAD_ENDS), None)
    skipped = next((one for one in place.upstream if one.state is TaskState.SKIPPED), None)
    good = any(one.state in GOOD_ENDS for one in place.upstream)
    if rule in ("all_done", "always") or not place.upstream:
        return GO
    if rule == "any_failed":
        return GO if bad else Verdict(TaskState.SKIPPED, "nothing before it failed")
    if rule == "any_succeeded" and good:
        return GO
    if bad is not None:
        return Verdict(TaskState.BLOCKED, f"{bad.path} {_ended_how(bad.state)}")
    if skipped is not None and (rule == "all_succeeded" or (rule == "any_succeeded" and not good)):
        return Verdict(TaskState.SKIPPED, f"{skipped.path} was skipped")
    return GO


def _ended_how(state: TaskState) -> str:
    return {TaskState.BLOCKED: "was blocked", TaskState.CANCELLED: "was cancelled", TaskState.LOST: "was lost"}.get(state, "failed")


def _teardown(run: Run, place: Place) -> Verdict:
    node = place.node
    setup = run.seen_from(node.setup, place.scope) if node and node.setup else None
    if setup is None or setup.state in GOOD_ENDS:
        return GO
    return Verdict(TaskState.SKIPPED, f"its setup {setup.path} did not succeed")


def _hook(run: Run, place: Place) -> Verdict:
    node = place.node
    assert node is not None
    if node.role == "on_exit":
        return GO
    if node.guards:
        guarded = [found for key in node.guards if (found := run.seen_from(key, place.scope)) is not None]
        failed = any(one.state in BAD_ENDS and one.state is not TaskState.CANCELLED for one in guarded)
    else:
        ended_badly = (one.state for one in run.bad_places() if one.role not in AFTERMATH)
        failed = run.failure is not None or any(state is not TaskState.CANCELLED for state in ended_badly)
    if not failed:
        return Verdict(TaskState.SKIPPED, "nothing failed")
    if run.stopping is not None and run.stopped_by not in ("fail_fast", "timeout"):
        return Verdict(TaskState.SKIPPED, "the run was cancelled")
    return GO

"""A plan as people read it: what is not as it should be, with its reason, and never more than fits."""

from __future__ import annotations

from tidemill.cli.assets import plan_lines
from tidemill.cli.render.words import Style
from tidemill.plan.values import Cost, Decision, Plan, State

PLAIN = Style(colour=False, unicode=True)


def told(*decisions: Decision, **cost: float) -> list[str]:
    return "\n".join(plan_lines(Plan(decisions=decisions, cost=Cost(**cost)), PLAIN)).splitlines()


def test_what_is_as_it_should_be_is_only_counted() -> None:
    lines = told(
        *(Decision(name=f"a{n}", state=State.OK) for n in range(3)), Decision(name="b", state=State.RUN, because=("its code changed",))
    )
    assert lines[1].split() == ["+", "b", "run", "its", "code", "changed"]
    assert lines[2] == "3 assets are as they should be."


def test_of_a_long_plan_fifty_rows_are_shown_and_the_rest_counted() -> None:
    lines = told(*(Decision(name=f"a{n}", state=State.RUN) for n in range(3000)))
    assert sum(line.startswith("+ ") for line in lines) == 50
    assert lines[51] == "… and 2,950 more (tidemill plan --json has all)."


def test_what_may_run_says_how_likely() -> None:
    assert "maybe p=0.25" in told(Decision(name="a", state=State.MAYBE, likely=0.25))[1]


def test_the_cost_is_said_from_least_to_most() -> None:
    lines = told(Decision(name="a", state=State.RUN), least=1.0, expected=2.0, most=3.0)
    assert lines[-1] == "Cost: 1.00 s at least, 2.00 s expected, 3.00 s at most."

"""What runs when: chains, joins, rules, conditions, places in groups."""

import sys

import pytest

from tidemill.graph.nodes import Group, When
from tidemill.graph.policy import RUN_IF_WORDS, Policy
from tidemill.graph.values import Constant, Item, Nothing, Ref
from tidemill.graph.work import Failure
from tidemill.machine.resolve import job
from tidemill.testing.graphs import call, each, flow, value
from tidemill.testing.play import Play


def test_a_task_waits_for_what_it_reads_and_what_it_follows() -> None:
    play = Play(flow(call("a"), call("b", Ref("a")), call("c", after=("b",)))).begin()
    assert play.ready == [("a", 0)]
    play.succeed("a")
    assert play.ready == [("b", 0)]
    play.succeed("b")
    play.succeed("c")
    assert play.run.state == "succeeded"


def test_independent_tasks_are_ready_together_and_a_join_waits_for_all() -> None:
    play = Play(flow(call("a"), call("b"), call("c", Ref("a"), Ref("b")))).begin()
    assert play.ready == [("a", 0), ("b", 0)]
    play.succeed("b")
    assert play.ready == [("a", 0)]
    play.succeed("a")
    assert play.ready == [("c", 0)]


def test_a_flow_without_tasks_succeeds_at_once() -> None:
    play = Play(flow(output=7)).begin()
    assert play.run.state == "succeeded"
    assert play.concluded is not None


def test_a_failure_blocks_what_needs_it_and_lets_the_rest_finish() -> None:
    play = Play(flow(call("a"), call("b", Ref("a")), call("c"), call("d", Ref("b")))).begin()
    play.fail("a", message="no disk")
    play.succeed("c")
    assert play.states() == {"a": "failed", "b": "blocked", "c": "succeeded", "d": "blocked"}
    assert (play.run.state, play.run.because) == ("failed", "a: no disk")


ENDS = ("succeeded", "failed", "skipped", "blocked")
EXPECTED = {
    "all_succeeded": ("succeeded", "blocked", "skipped", "blocked"),
    "all_done": ("succeeded",) * 4,
    "always": ("succeeded",) * 4,
    "any_succeeded": ("succeeded", "blocked", "skipped", "blocked"),
    "any_failed": ("skipped", "succeeded", "skipped", "succeeded"),
    "none_failed": ("succeeded", "blocked", "succeeded", "blocked"),
}


def ended_as(end: str, rule: str, *, beside_a_success: bool) -> str:
    """How a task with `rule` ends after one that ended as `end`."""
    up = {
        "succeeded": [call("up")],
        "failed": [call("up", task="fails")],
        "skipped": [call("up", when=(When(value_of(False)),))],
        "blocked": [call("x", task="fails"), call("up", Ref("x"))],
    }[end]
    args = [Ref("up"), Ref("ok")] if beside_a_success else [Ref("up")]
    play = Play(flow(call("ok"), *up, call("me", *args, policy=Policy(run_if=rule)))).begin()
    play.finish(lambda path, n, _: failing() if path in ("x",) or (path == "up" and end == "failed") else value(path))
    return play.states()["me"]


def value_of(data):
    return Constant(value(data))


def failing():
    return Failure("error", "no")


@pytest.mark.parametrize("rule", RUN_IF_WORDS)
@pytest.mark.parametrize("at", range(4), ids=ENDS)
def test_every_rule_after_every_end(rule: str, at: int) -> None:
    assert ended_as(ENDS[at], rule, beside_a_success=False) == EXPECTED[rule][at]


@pytest.mark.parametrize("end", ENDS)
def test_any_succeeded_needs_only_one(end: str) -> None:
    assert ended_as(end, "any_succeeded", beside_a_success=True) == "succeeded"


def test_any_failed_runs_when_one_of_two_failed() -> None:
    assert ended_as("failed", "any_failed", beside_a_success=True) == "succeeded"


# ---------------------------------------------------------------- conditions


def branch(shaped: bool) -> Play:
    yes, no = call("yes", when=(When(Ref("big")),)), call("no", when=(When(Ref("big"), is_=False),))
    play = Play(flow(call("big"), yes, no, call("join", Ref("yes"), Ref("no"), policy=Policy(run_if="any_succeeded")))).begin()
    play.succeed("big", True, shaped=shaped)
    return play


def test_a_branch_runs_one_side_and_the_join_reads_the_other_as_nothing() -> None:
    play = branch(shaped=True)
    play.succeed("yes")
    assert play.states()["no"] == "skipped"
    assert play.run.places["no"].because == "its condition does not hold"
    assert job(play.run, play.run.places["join"]).args["b"] == Nothing()
    play.succeed("join")
    assert play.run.state == "succeeded"


def test_a_truth_that_is_not_known_is_asked_of_a_worker() -> None:
    play = branch(shaped=False)
    assert sorted(play.asked) == ["no", "yes"]
    play.answer("yes", truths=(True,))
    play.answer("no", truths=(True,))
    assert play.ready == [("yes", 0)]
    assert play.states()["no"] == "skipped"


def test_an_answer_that_comes_twice_changes_nothing() -> None:
    play = branch(shaped=False)
    play.answer("yes", truths=(True,))
    before = len(play.log)
    play.answer("yes", truths=(False,))
    assert len(play.log) == before


def test_an_answer_to_an_older_question_is_not_taken_for_the_present_one() -> None:
    play = Play(flow(call("t"), call("list"), each("m", Ref("list"), when=(When(Ref("t")),)))).begin()
    play.succeed("t", True, shaped=False)
    play.succeed("list", [1, 2], shaped=False)
    play.answer("m", truths=(True,))
    assert play.asked["m"].want == "shape"
    play.answer("m", truths=(True,))  # repeated
    assert play.run.places["m"].state == "waiting"
    play.answer("m", lengths=(2,), keys=(None,))
    assert play.ready == [("m", 0), ("m", 1)]


def test_a_condition_that_cannot_be_judged_fails_its_task() -> None:
    play = branch(shaped=False)
    play.answer("yes", failure=failing())
    assert play.states()["yes"] == "failed"


def test_several_conditions_must_all_hold() -> None:
    conditions = (When(Ref("a")), When(Ref("b"), is_=False))
    for a, b, state in [(True, False, "ready"), (True, True, "skipped"), (False, False, "skipped")]:
        play = Play(flow(call("a"), call("b"), call("c", when=conditions))).begin()
        play.succeed("a", a)
        play.succeed("b", b)
        assert play.states()["c"] == state


def test_a_skipped_condition_skips_what_depends_on_it_unless_it_is_to_run_anyway() -> None:
    conditions = (When(Ref("b"), is_=False),)
    nodes = [
        call("b", when=(When(value_of(False)),)),
        call("c", when=conditions),
        call("d", when=conditions, policy=Policy(run_if="all_done")),
    ]
    play = Play(flow(*nodes)).begin()
    assert play.states() == {"b": "skipped", "c": "skipped", "d": "ready"}


# ---------------------------------------------------------------- mapped tasks


def test_a_task_is_mapped_over_a_list_that_becomes_known() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")), call("sum", Ref("m")))).begin()
    play.succeed("list", [7, 8, 9])
    assert play.ready == [("m", 0), ("m", 1), ("m", 2)]
    for n in (2, 0, 1):
        play.succeed("m", n * 10, n=n)
    args = job(play.run, play.run.places["sum"]).args["a"]
    assert [item.handle.data for item in args.items] == [b"0", b"10", b"20"]


def test_the_items_of_a_dict_are_called_by_their_keys() -> None:
    play = Play(flow(call("d"), each("m", Ref("d")), call("one", Ref("m", (("item", "fr"),))))).begin()
    play.succeed("d", {"de": 1, "fr": 2})
    assert set(play.states()) == {"d", "m[de]", "m[fr]", "one"}
    play.succeed("m", "D", n=0)
    play.succeed("m", "F", n=1)
    assert job(play.run, play.run.places["one"]).args["a"].handle == value("F")


def test_a_key_that_is_a_number_is_found_too() -> None:
    play = Play(flow(call("d"), each("m", Ref("d")), call("one", Ref("m", (("item", 2),))))).begin()
    play.succeed("d", {1: "a", 2: "b"})
    play.succeed("m", "A", n=0)
    play.succeed("m", "B", n=1)
    assert job(play.run, play.run.places["one"]).args["a"].handle == value("B")


def test_lists_of_different_lengths_cannot_be_zipped() -> None:
    play = Play(flow(call("m", [1, 2], [1, 2, 3], over=("a", "b")))).begin()
    assert play.states() == {"m": "failed"}
    assert play.run.because == "m: mapped over lists of different lengths: a has 2, b has 3"


def test_mapping_over_nothing_succeeds_with_nothing() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")), call("sum", Ref("m")))).begin()
    play.succeed("list", [])
    assert play.run.places["m"].state == "succeeded"
    assert job(play.run, play.run.places["sum"]).args["a"].items == ()


def test_a_length_that_is_not_known_is_asked_of_a_worker() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")))).begin()
    play.succeed("list", [1, 2], shaped=False)
    assert play.asked["m"].want == "shape"
    play.answer("m", lengths=(2,), keys=(("x", "y"),))
    assert set(play.states()) == {"list", "m[x]", "m[y]"}


def test_a_mapped_result_can_be_mapped_over_again() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")), each("again", Ref("m")))).begin()
    play.succeed("list", [1, 2])
    play.succeed("m", n=0)
    assert ("again", 0) not in play.ready
    play.succeed("m", n=1)
    assert play.ready == [("again", 0), ("again", 1)]


def test_more_than_a_million_items_are_refused_with_the_number() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")))).begin()
    play.succeed("list", [], shaped=False)
    play.answer("m", lengths=(1_000_001,), keys=(None,))
    assert play.run.because == "m: mapped over 1,000,001 items; at most 1,000,000 are allowed"


def test_one_failed_item_fails_the_whole_and_not_the_others() -> None:
    play = Play(flow(call("list"), each("m", Ref("list")), call("sum", Ref("m")))).begin()
    play.succeed("list", [1, 2, 3])
    play.fail("m", 1)
    play.finish()
    assert play.states() == {"list": "succeeded", "m[0]": "succeeded", "m[1]": "failed", "m[2]": "succeeded", "sum": "blocked"}
    assert play.run.counts() == {"succeeded": 3, "failed": 1, "blocked": 1}


# ---------------------------------------------------------------- mapped groups


def nested() -> Play:
    """regions → (load → rows → (clean) → gather) → total; with references into, out of and across the groups."""
    outer = Group(key="region", flow="per_region", over={"name": Ref("regions")}, output=Ref("region.gather"))
    inner = Group(key="region.row", flow="per_row", parent="region", over={"item": Ref("region.load")}, output=Ref("region.row.clean"))
    nodes = [
        call("regions"), call("conf"), outer, inner,
        call("region.load", Item("region", (), "name"), Ref("conf"), group="region"),
        call("region.row.clean", Item("region.row", (), "item"), Item("region", (), "name"), Ref("conf"), group="region.row"),
        call("region.gather", Ref("region.row"), group="region"),
        call("total", Ref("region")), call("peek", Ref("region.load")),
    ]  # fmt: skip
    play = Play(flow(*nodes, output=Ref("total"))).begin()
    play.succeed("regions", ["de", "fr"])
    play.succeed("conf", "c")
    return play


def test_a_mapped_group_repeats_its_tasks_for_each_item_two_deep() -> None:
    play = nested()
    assert play.ready == [("region[0].load", 0), ("region[1].load", 0)]
    play.succeed("region[1].load", ["x"])
    assert ("region[1].row[0].clean", 0) in play.ready
    args = job(play.run, play.run.places["region[1].row[0].clean"]).args
    assert args["a"].path == (("nth", 0),)
    assert args["b"].path == (("nth", 1),)
    assert args["c"].handle == value("c")


def test_outside_a_group_its_result_is_the_list_of_its_outputs() -> None:
    play = nested()
    play.succeed("region[0].load", [])
    play.succeed("region[1].load", ["x"])
    play.succeed("region[1].row[0].clean")
    play.succeed("region[0].gather", "G0")
    play.succeed("region[1].gather", "G1")
    assert [item.handle for item in job(play.run, play.run.places["total"]).args["a"].items] == [value("G0"), value("G1")]
    play.finish()
    assert play.run.state == "succeeded"


def test_a_failure_in_one_item_leaves_the_other_items_alone() -> None:
    play = nested()
    play.succeed("region[0].load", [])
    play.fail("region[1].load")
    play.finish()
    states = play.states()
    assert states["region[0].gather"] == "succeeded"
    assert states["region[1].gather"] == states["total"] == "blocked"
    assert states["region"] == "failed"


def test_an_item_of_a_group_is_the_one_result_of_what_it_is_mapped_over() -> None:
    """Of a list, of a mapped task, of another mapped group: each the same as the n-th part of the whole."""
    first = Group(key="g", flow="inner", over={"x": Ref("m")}, output=Ref("g.a"))
    second = Group(key="h", flow="inner", over={"x": Ref("g"), "y": Ref("list")}, output=Ref("h.a"))
    nodes = [call("g.a", Item("g", (), "x"), group="g"), call("h.a", Item("h", (), "x"), Item("h", (), "y"), group="h")]
    play = Play(flow(call("list"), each("m", Ref("list")), first, second, *nodes)).begin()
    play.succeed("list", [1, 2])
    for path, n, result in [("m", 0, "m0"), ("m", 1, "m1"), ("g[0].a", 0, "g0"), ("g[1].a", 0, "g1")]:
        play.succeed(path, result, n)
    assert job(play.run, play.run.places["g[1].a"]).args["a"].handle == value("m1")
    args = job(play.run, play.run.places["h[1].a"]).args
    assert args["a"].handle == value("g1")
    assert (args["b"].handle, args["b"].path) == (value([1, 2]), (("nth", 1),))


def test_giving_out_the_items_of_a_group_takes_the_same_time_however_many_there_are() -> None:
    group = Group(key="g", flow="inner", over={"x": Ref("m")}, output=Ref("g.a"))
    play = Play(flow(call("list"), each("m", Ref("list")), group, call("g.a", Item("g", (), "x"), group="g"))).begin()
    play.succeed("list", list(range(300)))
    for n in range(300):
        play.succeed("m", n, n)
    made: list[str] = []
    tracing = sys.gettrace()
    sys.settrace(lambda frame, *_: made.append(frame.f_code.co_name))
    try:
        job(play.run, play.run.places["g[299].a"])
    finally:
        sys.settrace(tracing)
    assert len(made) < 60

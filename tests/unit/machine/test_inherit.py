"""What a retry of a run takes over from the run before, and what it does again."""

from tidemill.graph.nodes import Group
from tidemill.graph.values import Item, Ref
from tidemill.graph.work import Failure
from tidemill.machine.inherit import inheritance
from tidemill.testing.graphs import call, each, flow, value
from tidemill.testing.play import NOON, Play


def again(before: Play, *rerun: str) -> Play:
    """The retry of `before`, begun."""
    return Play(before.graph, id="r2").begin(inheritance(before.run, NOON, rerun=rerun))


def ran(play: Play) -> list[str]:
    """Finish the retry; what was started in it."""
    started: list[str] = []

    def behave(path: str, n: int, _attempt: int) -> object:
        started.append(play.run.places[path].label(n))
        return value([1, 2, 3])

    play.finish(behave)
    assert play.run.state == "succeeded"
    return started


def failing(*paths: str):
    def behave(path: str, n: int, _attempt: int) -> object:
        return Failure("error") if path in paths or f"{path}[{n}]" in paths else value([1, 2, 3])

    return behave


CHAIN = flow(call("a"), call("b", Ref("a")), call("c", Ref("b")), call("other"))


def test_what_succeeded_is_reused_and_what_failed_runs() -> None:
    assert ran(again(Play(CHAIN).begin().finish(failing("b")))) == ["b", "c"]


def test_a_retry_of_a_run_that_succeeded_runs_nothing() -> None:
    play = again(Play(CHAIN).begin().finish())
    assert play.run.state == "succeeded"
    assert set(play.states().values()) == {"reused"}


def test_a_retry_from_a_task_runs_it_and_all_that_follows() -> None:
    assert ran(again(Play(CHAIN).begin().finish(), "b")) == ["b", "c"]


def test_what_ran_on_another_input_is_not_reused() -> None:
    graph = flow(call("a"), call("b", Ref("a")), call("c", after=("b",)))
    before = Play(graph).begin().finish(failing("c"))
    assert ran(again(before, "a")) == ["a", "b", "c"]


def test_of_a_mapped_task_only_the_failed_items_run() -> None:
    graph = flow(call("list"), each("m", Ref("list")), call("sum", Ref("m")))
    assert ran(again(Play(graph).begin().finish(failing("m[1]")))) == ["m[1]", "sum"]


def test_of_a_mapped_group_only_the_failed_items_run() -> None:
    group = Group(key="g", flow="inner", over={"x": Ref("list")}, output=Ref("g.b"))
    graph = flow(call("list"), group, call("g.a", Item("g", (), "x"), group="g"), call("g.b", Ref("g.a"), group="g"), call("sum", Ref("g")))
    before = Play(graph).begin().finish(failing("g[1].b"))
    assert ran(again(before)) == ["g[1].b", "sum"]


def test_what_reads_a_group_runs_again_when_something_in_the_group_does() -> None:
    group = Group(key="g", flow="inner", over={"x": Ref("list")}, output=Ref("g.a"))
    graph = flow(call("list"), group, call("g.a", Item("g", (), "x"), group="g"), call("sum", Ref("g")))
    before = Play(graph).begin().finish(failing())
    assert ran(again(before, "g[2].a")) == ["g[2].a", "sum"]
    assert ran(again(before, "g")) == ["g[0].a", "g[1].a", "g[2].a", "sum"]


CLUSTER = flow(
    call("up", role="setup"), call("one", Ref("up")), call("two", Ref("up"), Ref("one")),
    call("down", Ref("up"), role="teardown", setup="up", guards=("one", "two")), call("last", Ref("two")),
)  # fmt: skip


def test_a_setup_runs_again_when_anything_it_serves_does() -> None:
    before = Play(CLUSTER).begin().finish(failing("two"))
    assert ran(again(before)) == ["up", "one", "two", "down", "last"]


def test_a_setup_runs_again_when_what_it_serves_is_named() -> None:
    before = Play(CLUSTER).begin().finish()
    assert sorted(ran(again(before, "one"))) == ["down", "last", "one", "two", "up"]


def test_a_setup_whose_work_was_done_stays_torn_down() -> None:
    before = Play(CLUSTER).begin().finish(failing("last"))
    assert ran(again(before)) == ["last"]


def test_a_teardown_that_failed_is_run_again_alone() -> None:
    before = Play(CLUSTER).begin().finish(failing("down"))
    assert ran(again(before)) == ["down"]


def test_hooks_run_in_every_run() -> None:
    graph = flow(call("a"), call("bye", role="on_exit"))
    assert ran(again(Play(graph).begin().finish())) == ["bye"]


def test_the_calls_of_a_dynamic_flow_are_found_again_in_the_retry() -> None:
    graph = flow(call("d", role="driver"))
    before = Play(graph).begin()
    before.launch("d")
    before.call("d", call("d/x"))
    before.succeed("d/x", 5)
    before.end("d", result=Failure("error"))
    assert before.run.state == "failed"
    play = again(before)
    play.launch("d")
    play.call("d", call("d/x"))
    assert play.states()["d/x"] == "reused"

"""What the progress of a run looks like, from the machine's own events."""

from __future__ import annotations

from tidemill.cli.render.board import Board
from tidemill.cli.render.lines import Lines
from tidemill.cli.render.picture import picture
from tidemill.cli.render.words import Style, width
from tidemill.graph.nodes import Group
from tidemill.graph.policy import Policy
from tidemill.graph.values import Item, Ref
from tidemill.graph.work import Failure, Note
from tidemill.testing.graphs import call, each, expr, flow, value
from tidemill.testing.play import NOON, Play

PLAIN = Style(colour=False, unicode=True, columns=100)


def told(play: Play, style: Style = PLAIN) -> list[str]:
    """The plain lines of all that happened, one event at a time, without their times."""
    board = Board(play.graph)
    lines = Lines(board, style)
    return [line[line.index("]") + 2 :] for event in play.log for line in lines.about(board.take(play.run, [event]), event.at)]


def drawn(play: Play, style: Style = PLAIN, *, rows: int = 30, expected: dict[str, float] | None = None) -> list[str]:
    board = Board(play.graph, expected)
    for event in play.log:
        board.take(play.run, [event])
    return picture(board, "r1", play.now, style, rows=rows)


def three() -> Play:
    extract = call("extract")
    return Play(flow(extract, call("total", extract))).begin()


def test_a_plain_task_is_told_when_it_starts_and_when_it_ends() -> None:
    play = three().finish()
    assert told(play) == [
        "● extract running",
        "✓ extract succeeded in 0.00 s",
        "● total running",
        "✓ total succeeded in 0.00 s",
    ]


def test_a_mapped_task_is_told_at_its_start_in_tenths_and_at_its_end() -> None:
    play = Play(flow(each("load", list(range(1000))))).begin().finish()
    lines = told(play)
    assert lines[0] == "● load started: 1,000 items"
    assert lines[-1].startswith("✓ load succeeded: 1,000 succeeded")
    assert len(lines) == 11


def test_ten_thousand_plain_tasks_are_told_as_totals() -> None:
    play = Play(flow(*(call(f"t{n}") for n in range(300)))).begin().finish()
    assert told(play) == [f"{n * 30} of 300 tasks done" for n in range(1, 11)]


def test_a_failure_says_its_type_and_message_and_who_was_blocked() -> None:
    play = three()
    play.fail("extract", type="builtins.ValueError", message="no such row")
    assert told(play)[1:] == ["✗ extract failed in 0.00 s: ValueError: no such row", "⊘ total blocked"]


def test_a_retry_is_told_with_its_reason() -> None:
    play = Play(flow(call("fetch", policy=Policy(retries=1)))).begin()
    play.fail("fetch", type="builtins.TimeoutError", message="slow")
    assert told(play)[-1] == "↻ fetch retrying: TimeoutError: slow"
    assert any("1 retry" in line for line in drawn(play))


def test_the_tree_shows_states_durations_and_totals() -> None:
    play = three()
    play.launch("extract")
    play.wait(2.0)
    play.end("extract")
    play.launch("total")
    play.wait(1.0)
    head, extract, total, sums = drawn(play, expected={"": 10.0, "total": 4.0})
    assert head == "flow  r1  running  3.00 s, about 7.00 s left"
    assert extract == "  ✓ extract  2.00 s"
    assert total == "  ● total    1.00 s  ~3.00 s left"
    assert sums == "  1 succeeded, 1 running"


def test_a_mapped_task_is_one_row_with_a_bar_and_counts() -> None:
    play = Play(flow(each("load", list(range(100))))).begin()
    for n in range(37):
        play.succeed("load", n=n)
    play.fail("load", 37, type="builtins.OSError", message="gone")
    row = drawn(play)[1]
    assert "38/100" in row
    assert "1 failed" in row
    assert row.count("█") == 7 + 1
    assert row.count("░") == 12


def test_inner_flows_are_indented_under_their_name() -> None:
    inner = call("shop.load", group="shop")
    play = Play(flow(call("first"), inner, Group(key="shop", flow="shop"))).begin().finish()
    assert [line[:10].rstrip() for line in drawn(play)[1:4]] == ["  ✓ first", "  shop", "    ✓ load"]


def test_a_mapped_flow_has_one_row_for_each_of_its_tasks() -> None:
    group = Group(key="region", flow="region", over={"name": expr(["a", "b", "c"])}, output=Ref("region.load"))
    play = Play(flow(call("region.load", Item("region"), group="region"), group)).begin().finish()
    assert any("3/3" in line and "load" in line for line in drawn(play))


def test_calls_of_a_dynamic_flow_appear_below_it_counted() -> None:
    play = Play(flow(call("body", role="driver"))).begin()
    play.launch("body")
    for n in range(3):
        play.call("body", call(f"body/step-{n}", n, task="step"))
        play.succeed(f"body/step-{n}")
    lines = drawn(play)
    assert lines[1].startswith("  ● body")
    assert lines[2].startswith("    ✓ step")
    assert "3/3" in lines[2]


def test_what_does_not_fit_leaves_room_for_what_runs_and_what_failed() -> None:
    play = Play(flow(*(call(f"task-{n:04}") for n in range(10_000)))).begin()
    play.launch("task-5000")
    play.fail("task-7000", message="no")
    lines = drawn(play, rows=12)
    assert len(lines) <= 12
    assert any("task-5000" in line for line in lines)
    assert any("task-7000" in line for line in lines)
    assert "more" in lines[-2]
    assert "9,998 waiting" in lines[-1]


def test_no_line_is_wider_than_the_terminal() -> None:
    play = Play(flow(each("a-task-with-quite-a-long-name", list(range(50))), call("日本語" * 20))).begin()
    play.fail("a-task-with-quite-a-long-name", 3, message="long " * 100)
    for columns in (20, 33, 60, 100):
        style = Style(colour=False, unicode=True, columns=columns)
        assert all(width(line) <= columns for line in drawn(play, style))


def test_ascii_terminals_get_ascii() -> None:
    play = Play(flow(each("load", [1, 2, 3]), call("next"))).begin().finish()
    style = Style(colour=False, unicode=False, columns=80)
    assert all(line.isascii() for line in drawn(play, style))


def test_progress_that_running_code_tells_is_shown() -> None:
    play = Play(flow(call("train"))).begin()
    play.launch("train")
    board = Board(play.graph)
    board.take(play.run, play.log)
    assert board.hear(play.run, Note("r1/train", 0, 1, "progress", "progress", 0.25)) is board.rows["train"]
    play.wait(10.0)
    assert "25%  ~30.0 s left" in picture(board, "r1", play.now, PLAIN, rows=10)[1]


def test_what_a_retry_takes_over_counts_as_done() -> None:
    from tidemill.machine.inherit import inheritance

    before = three()
    before.succeed("extract")
    before.fail("total", message="no")
    play = Play(before.graph, at=NOON).begin(inheritance(before.run, NOON)).finish()
    assert "↺" in drawn(play)[1]
    assert drawn(play)[-1] == "  1 succeeded, 1 reused"


def test_a_run_that_goes_on_is_shown_from_where_it_stood() -> None:
    play = Play(flow(call("extract"), each("load", list(range(4))), call("later"))).begin()
    play.succeed("extract")
    play.succeed("load", n=0)
    play.launch("load", 1)
    board = Board(play.graph)
    board.adopt(play.run)
    assert (board.rows["extract"].over, board.rows["load"].done, board.rows["load"].running) == (True, 1, 1)
    read = len(play.log)
    other = play.recovered().finish()
    board.take(other.run, other.log[read:])
    assert [row.done for row in board.rows.values()] == [1, 4, 1]
    assert not board.active


def test_a_bar_never_overflows() -> None:
    play = Play(flow(each("load", list(range(3))))).begin()
    for n in range(3):
        play.end("load", n, Failure("error")) if play.launch("load", n) and n else play.end("load", n, value(1))
    row = drawn(play)[1]
    assert row.count("█") + row.count("░") == 20

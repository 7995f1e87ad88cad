"""A run as a tree on a terminal: a row for each node, as many as there is room for. Pure: a board and a time in, lines out."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.cli.render.board import Board, Heading, Row
from tidemill.cli.render.words import Style, clip, counted, duration, width
from tidemill.graph.work import Instant
from tidemill.machine.states import TaskState

__all__ = ["picture"]

_BAR = 20
_LABEL = 40
_SHARES = tuple(TaskState(word) for word in ("succeeded", "reused", "skipped", "failed", "lost", "blocked", "cancelled"))


def picture(board: Board, run_id: str, now: Instant, style: Style, *, rows: int) -> list[str]:
    """At most `rows` lines, none wider than the terminal. All nodes if they fit; else what runs, what failed, what ended last."""
    room = max(1, rows - 3)
    everything = board.lines
    if len(everything) <= room:
        chosen, hidden = list(everything), 0
    else:
        picked = _picked(board, room - 1)
        chosen = [row for row in board.rows.values() if row.key in picked]
        hidden = len(board.rows) - len(chosen)
    indents = len(everything) <= room
    wide = max((width(one.label) + (2 * one.depth if indents else 0) for one in chosen), default=0)
    column = min(wide, _LABEL, max(8, style.columns // 3))
    lines = [_head(board, run_id, now, style)]
    for one in chosen:
        depth = one.depth if indents else 0
        lines.append(_heading(one, depth, style) if isinstance(one, Heading) else _line(one, depth, column, now, style, indents=indents))
    if hidden:
        lines.append(style.dim(clip(f"  … and {hidden:,} more", style.columns)))
    lines.append(style.dim(clip(f"  {counted(board.totals())}", style.columns)))
    return lines


def _picked(board: Board, room: int) -> set[str]:
    """Keys of the rows that matter most: what runs, what failed, what ended last."""
    picked: dict[str, None] = {}
    running = list(board.active)
    failed = [row.key for row in board.failed_rows()]
    recent = [row.key for row in reversed(board.recent)]
    half = max(1, room // 2)
    for keys, most in ((running, half), (failed, max(1, room // 4)), (recent, room), (running, room), (list(board.rows), room)):
        taken = 0
        for key in keys:
            if len(picked) >= room or taken >= most:
                break
            if key not in picked:
                picked[key] = None
                taken += 1
    return set(picked)


def _head(board: Board, run_id: str, now: Instant, style: Style) -> str:
    past = now - board.begun if board.begun is not None else 0.0
    if board.finished is not None:
        state, tail = str(board.finished.state), duration(board.finished.at - (board.begun or board.finished.at))
    else:
        state = "cancelling" if board.stopping else "running"
        left = board.left(now)
        tail = duration(past) + (f", about {duration(left)} left" if left is not None and not board.stopping else "")
    text = f"{board.graph.flow}  {run_id}  "
    rest = clip(f"{state}  {tail}", max(8, style.columns - width(text)))
    return clip(text, style.columns) if width(text) >= style.columns - 8 else style.bold(text) + style.paint(rest, state)


def _heading(heading: Heading, depth: int, style: Style) -> str:
    return clip(f"{'  ' * (depth + 1)}{heading.label}", style.columns)


def _line(row: Row, depth: int, column: int, now: Instant, style: Style, *, indents: bool) -> str:
    state = row.state
    label = row.label if indents else row.key.replace("\n", ".")
    indent = "  " * depth
    name = clip(label, max(4, column - len(indent)))
    head = f"  {indent}{style.sign(state)} {name}{' ' * (column - len(indent) - width(name))}  "
    room = style.columns - width(head)
    tail, bar = _tail(row, state, now), ""
    if row.many and row.total:
        count = f"{row.done:,}/{row.total:,}"
        if room >= _BAR + len(count) + 12:
            bar, room = _bar(row, style) + " ", room - _BAR - 1
        tail = f"{count}  {tail}"
    return style.paint(head, state) + bar + (clip(tail, room) if room > 0 else "")


def _tail(row: Row, state: TaskState, now: Instant) -> str:
    parts: list[str] = []
    if row.many and row.bad:
        parts.append(f"{row.bad:,} failed" if row.counts[TaskState.FAILED] else f"{row.bad:,} {state}")
    if row.started is not None and state is not TaskState.SKIPPED:
        parts.append(duration((row.ended if row.over and row.ended is not None else now) - row.started))
    elif state in (TaskState.SKIPPED, TaskState.BLOCKED, TaskState.CANCELLED, TaskState.REUSED):
        parts.append(str(state))
    if row.progress is not None and not row.over:
        parts.append(f"{row.progress:.0%}")
    if (left := row.left(now)) is not None and left >= 0.5:
        parts.append(f"~{duration(left)} left")
    if row.retries:
        parts.append(f"{row.retries:,} {'retry' if row.retries == 1 else 'retries'}")
    if row.failure is not None and (row.bad or state is TaskState.RETRYING):
        kind = row.failure.type.rpartition(".")[2] or row.failure.cause
        parts.append(f"{kind}: {row.failure.message}" if row.failure.message else kind)
    return "  ".join(parts)


def _bar(row: Row, style: Style) -> str:
    """The shares of the states, `_BAR` columns wide; a state with any unit has at least one column while there are some."""
    full, half, empty = ("█", "▒", "░") if style.unicode else ("#", "=", ".")
    cells: list[str] = []
    for state in _SHARES:
        if (n := row.counts[state]) > 0:
            cells += [style.paint(full, state)] * max(1, n * _BAR // row.total)
    cells += [style.paint(half, "running")] * (max(1, row.running * _BAR // row.total) if row.running else 0)
    return "".join(_fit(cells, style.dim(empty)))


def _fit(cells: Sequence[str], empty: str) -> list[str]:
    return [*cells[:_BAR], *[empty] * (_BAR - len(cells))]

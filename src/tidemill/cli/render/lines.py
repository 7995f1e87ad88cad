"""A run as plain lines, for pipes, files and CI: a line for each change of a node, of mapped ones at most one per tenth.

Knows rows of the board; writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.cli.render.board import Board, Row
from tidemill.cli.render.words import Style, clip, duration, plural
from tidemill.graph.work import Instant
from tidemill.machine.states import TaskState

__all__ = ["Lines"]

MANY_NODES = 200  # beyond so many nodes only trouble is told line by line, the rest as totals


class Lines:
    """What is to be said, given what was said before."""

    def __init__(self, board: Board, style: Style) -> None:
        self._board = board
        self._style = style
        self._said: dict[str, tuple[object, ...]] = {}
        self._tenth = 0
        self._over = {key for key, row in board.rows.items() if row.over}
        self._few = len(board.rows) <= MANY_NODES

    def about(self, changed: list[Row], now: Instant) -> Iterator[str]:
        """Lines for rows that changed just now."""
        since = now - (self._board.begun or now)
        for row in changed:
            what = self._mapped(row) if row.many else self._single(row)
            if what is not None:
                yield f"[{since:8.2f}s] {what}"
        if not self._few:
            for row in changed:  # not all rows each time: with many of them that would be most of the work
                (self._over.add if row.over else self._over.discard)(row.key)
            done, all_ = len(self._over), len(self._board.rows)
            if (tenth := done * 10 // all_) > self._tenth:
                self._tenth = tenth
                yield f"[{since:8.2f}s] {done:,} of {plural(all_, 'task')} done"

    def _single(self, row: Row) -> str | None:
        state = row.state
        mark: tuple[object, ...] = (state, row.retries)
        if self._said.get(row.key) == mark:
            return None
        self._said[row.key] = mark
        good = state in (TaskState.SUCCEEDED, TaskState.RUNNING, TaskState.READY, TaskState.WAITING, TaskState.REUSED)
        if state in (TaskState.READY, TaskState.WAITING) or (good and not self._few):
            return None
        text = f"{self._style.sign(state)} {row.key} {state}"
        if row.over and row.started is not None and row.ended is not None and state is not TaskState.CANCELLED:
            text += f" in {duration(row.ended - row.started)}"
        return self._style.paint(text, state) + _trouble(row, state)

    def _mapped(self, row: Row) -> str | None:
        name = row.key.replace("\n", ".")
        if not row.total:
            if row.over and self._said.get(row.key) != (11,):
                self._said[row.key] = (11,)
                return f"{self._style.sign(row.state)} {name} {row.state}: mapped over nothing"
            return None
        tenth = 11 if row.over else row.done * 10 // row.total
        before = self._said.get(row.key)
        if before is not None and before >= (tenth,):
            return None
        self._said[row.key] = (tenth,)
        state = row.state
        if tenth == 0 and row.total > 1:
            return f"{self._style.sign(TaskState.RUNNING)} {name} started: {plural(row.total, 'item')}"
        if row.over:
            took = duration(row.ended - row.started) if row.started is not None and row.ended is not None else ""
            text = f"{self._style.sign(state)} {name} {state}: {_shares(row)}{f' in {took}' if took else ''}"
            return self._style.paint(text, state) + _trouble(row, state)
        return f"{self._style.sign(TaskState.RUNNING)} {name} {row.done:,}/{row.total:,}{f', {row.bad:,} bad' if row.bad else ''}"


def _shares(row: Row) -> str:
    return ", ".join(f"{n:,} {state}" for state, n in sorted(row.counts.items(), key=lambda one: -one[1]) if n > 0) or "0 items"


def _trouble(row: Row, state: TaskState) -> str:
    failure = row.failure
    if failure is None or state not in (TaskState.FAILED, TaskState.RETRYING, TaskState.LOST):
        return ""
    kind = failure.type.removeprefix("builtins.") or failure.cause
    return ": " + clip(f"{kind}: {failure.message}" if failure.message else kind, 300)

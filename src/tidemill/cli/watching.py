"""Runs while they go on, told on standard error: a live tree on a terminal, plain lines elsewhere, or nothing.

Driven by the engine's steps; the only timer moves the clock of what runs long. Draws at most ten times a second.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from typing import TextIO

from tidemill.cli.render.board import Board
from tidemill.cli.render.lines import Lines
from tidemill.cli.render.picture import picture
from tidemill.cli.render.screen import Screen
from tidemill.cli.render.words import Style, style_of
from tidemill.engine.engine import Engine
from tidemill.graph.work import Failure, Note
from tidemill.machine.advance import Step
from tidemill.machine.run import Run
from tidemill.machine.states import TaskState
from tidemill.ports import Clock

__all__ = ["Watcher", "failed_units"]

_FRAME = 0.1  # seconds between two drawings, at least
_TICK = 1.0  # seconds after which durations are drawn again though nothing happened
_KEPT = 1000  # failures that are remembered for the end


class _Watched:
    def __init__(self, board: Board, lines: Lines) -> None:
        self.board = board
        self.lines = lines
        self.run: Run | None = None


class Watcher:
    """Listens to an engine. `quiet`: keep the state of runs for their end, and say nothing meanwhile."""

    def __init__(self, engine: Engine, clock: Clock, *, quiet: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._engine = engine
        self._quiet = quiet
        self.style: Style = style_of(self._stream)
        self._live = not quiet and self._stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self._screen = Screen(self._stream)
        self._watched: dict[str, _Watched] = {}
        self._drawn_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._trouble = ""
        engine.listeners.append(self._on_step)

    @property
    def live(self) -> bool:
        """Whether a tree is drawn."""
        return self._live

    def watch(self, run_id: str, board: Board) -> None:
        """Tell of this run from now on."""
        self._watched[run_id] = _Watched(board, Lines(board, self.style))

    def say(self, text: str) -> None:
        """A line for people, above the tree."""
        try:
            if self._live and self._watched:
                self._screen.draw([])
            self._stream.write(self.style.text(text) + "\n")
            self._stream.flush()
            self._screen.keep()
            if self._live:
                self._draw()
        except UnicodeEncodeError:
            self._stream.write(text.encode("ascii", "replace").decode() + "\n")

    def state(self, run_id: str) -> Run | None:
        """What is known of a run in memory, also after its end."""
        found = self._watched.get(run_id)
        return found.run if found else None

    def close(self) -> None:
        """Draw what there is for the last time, and leave it there."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._live:
            self._draw()
        self._screen.keep()
        self._watched.clear()
        self._live = False

    # ---------------------------------------------------------------- what happens

    def _on_step(self, run: Run, step: Step) -> None:
        watched = self._watched.get(run.id)
        if watched is None:
            return
        watched.run = run
        if self._quiet:
            return
        changed = watched.board.take(run, step.events)
        if self._live:
            if step.events:
                self._draw_soon()
            return
        whose = f"{run.graph.flow} " if len(self._watched) > 1 else ""
        for line in watched.lines.about(changed, self._clock.now()):
            self.say(whose + line)
        if self._timer is None:
            self._tick_later()

    def on_note(self, note: Note) -> None:
        """Running code says how far it is."""
        watched = self._watched.get(note.job.partition("/")[0])
        if watched is not None and watched.run is not None and self._live and watched.board.hear(watched.run, note):
            self._draw_soon()

    # ---------------------------------------------------------------- drawing

    def _draw_soon(self) -> None:
        wait = self._drawn_at + _FRAME - self._clock.monotonic()
        if wait <= 0:
            self._draw()
        elif self._timer is None or self._timer.when() > asyncio.get_running_loop().time() + wait:
            self._after(wait)

    def _after(self, wait: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, self._on_timer)

    def _tick_later(self) -> None:
        self._after(_TICK)

    def _on_timer(self) -> None:
        self._timer = None
        self._tell_trouble()
        if self._live:
            self._draw()
        else:
            self._tick_later()

    def _draw(self) -> None:
        if not self._watched:
            return
        size = shutil.get_terminal_size((100, 24))
        self.style.columns = max(20, size.columns)
        now, lines = self._clock.now(), []
        room = max(4, (size.lines - 1) // len(self._watched))
        for run_id, watched in self._watched.items():
            if watched.run is not None:
                lines += picture(watched.board, run_id, now, self.style, rows=room)
        self._screen.draw([self.style.text(line) for line in lines])
        self._drawn_at = self._clock.monotonic()
        self._tick_later()

    def _tell_trouble(self) -> None:
        problem = self._engine.trouble
        what = problem.what if problem is not None else ""
        if what != self._trouble:
            self._trouble = what
            waits = "Running tasks go on; nothing new is started until it can be written."
            self.say(f"{what} {waits}" if what else "The store can be written again.")


def failed_units(run: Run | None) -> list[tuple[str, Failure]]:
    """The labels and failures of what failed, in the order of the run's places."""
    return [] if run is None else list(_failed(run))


def _failed(run: Run) -> Iterator[tuple[str, Failure]]:
    count = 0
    for place in run.places.values():
        if place.called_by is not None or place.state not in (TaskState.FAILED, TaskState.LOST, TaskState.CANCELLED, TaskState.BLOCKED):
            continue
        if place.failure is not None:
            yield place.path, place.failure
            count += 1
        for n, unit in enumerate(place.units):
            if unit.state in (TaskState.FAILED, TaskState.LOST) and unit.failure is not None and unit.failure is not place.failure:
                yield place.label(n), unit.failure
                count += 1
            if count >= _KEPT:
                return

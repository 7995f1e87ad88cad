"""`tidemill logs`: what the tasks of a run printed and logged; `-f` goes on until they end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import click
import msgspec

from tidemill.cli.options import as_json, find_run, find_task, in_project, opened
from tidemill.cli.render.words import Style, style_of
from tidemill.errors import Unknown
from tidemill.executors.logs import LogLine, LogOf, attempts_with_logs, follow, parsed, read
from tidemill.executors.places import AttemptId, log_file, safe
from tidemill.machine.states import RUN_ENDS, TASK_ENDS
from tidemill.ports import RunRow, Store, TaskFilter, TaskRow
from tidemill.project.project import Project
from tidemill.project.result import task_rows

_LOOK_EVERY = 0.2  # seconds between looks at logs that are followed


@click.command("logs")
@click.argument("run")
@click.argument("task", required=False)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what comes, until it ends.")
@click.option("--attempt", type=int, help="Only this attempt. Without it: of one task the last, of a run all.")
@click.option("--tail", type=int, metavar="N", help="Only the last N lines of each.")
@as_json
@in_project
def command(*, run: str, task: str | None, following: bool, attempt: int | None, tail: int | None, json_: bool, project: str) -> int:
    """What tasks printed and logged.

    RUN is an id, its unique beginning, or `last`; TASK is one task or one item of it: load[3].
    """
    found, asked = opened(project), _Asked(following, attempt, tail, json_)
    store = found.store()
    try:
        row = find_run(store, run)
        if task is None:
            _of_run(found, store, row, asked)
        else:
            _of_task(found, store, row, find_task(store, row, task), asked)
    finally:
        store.close()
    return 0


class _Asked(NamedTuple):
    following: bool
    attempt: int | None
    tail: int | None
    json: bool


def _of_task(project: Project, store: Store, row: RunRow, task: TaskRow, asked: _Asked) -> None:
    if task.size is not None and task.unit == 0:
        _of_run(project, store, row, asked, place=task.place)
        return
    number = asked.attempt if asked.attempt is not None else max(1, task.attempt)
    if number > max(1, task.attempt):
        known = [str(n) for n in range(1, task.attempt + 1)]
        raise Unknown("attempt", str(number), known=known, see=f"tidemill show {row.id} {task.name}")
    attempt = AttemptId(row.id, task.place, max(0, task.unit - 1), number)
    if asked.following:
        lines = follow(project.home, attempt, ended=lambda: store.task(row.id, task.place, task.unit).state in TASK_ENDS, tail=asked.tail)
    else:
        lines = read(project.home, attempt, tail=asked.tail)
    count = _print(lines, "", task.name, json_=asked.json)
    if not count and not asked.json:
        click.echo(f"{task.name} printed nothing in attempt {number}.", err=True)


def _of_run(project: Project, store: Store, row: RunRow, asked: _Asked, *, place: str | None = None) -> None:
    def found() -> list[tuple[str, AttemptId]]:
        return _attempts(project, store, row, asked.attempt, place)

    if asked.following:
        for name, line in _followed(project, lambda: store.run(row.id).state in RUN_ENDS, found):
            _print(iter([line]), f"[{name}] ", name, json_=asked.json)
        return
    count = 0
    for name, attempt in found():
        count += _print(read(project.home, attempt, tail=asked.tail), f"[{name}] ", name, json_=asked.json)
    if not count and not asked.json:
        click.echo("Nothing was printed.", err=True)


def _attempts(project: Project, store: Store, row: RunRow, attempt: int | None, place: str | None) -> list[tuple[str, AttemptId]]:
    """Attempts that have a log, by the start of their task, with the names that people know."""
    logs: dict[tuple[str, int], list[LogOf]] = {}
    for log in attempts_with_logs(project.home, row.id):
        logs.setdefault((log.place, log.n), []).append(log)
    found: list[tuple[float, str, AttemptId]] = []
    for task in _tasks(store, row, place):
        n = max(0, task.unit - 1)
        for log in logs.pop((safe(task.place), n), []):
            if attempt in (None, log.attempt):
                name = task.name if attempt is None and log.attempt == task.attempt else f"{task.name} attempt {log.attempt}"
                found.append((task.started_at or 0.0, name, AttemptId(row.id, task.place, n, log.attempt)))
    return [(name, one) for _, name, one in sorted(found, key=lambda one: (one[0], one[2]))]


def _tasks(store: Store, row: RunRow, place: str | None) -> Iterator[TaskRow]:
    if place is not None:
        yield from task_rows(store, row.id, TaskFilter(place=place))
        return
    for task in task_rows(store, row.id):
        if task.size is None:
            yield task
        else:
            yield from task_rows(store, row.id, TaskFilter(place=task.place))


def _followed(
    project: Project, ended: Callable[[], bool], attempts: Callable[[], list[tuple[str, AttemptId]]]
) -> Iterator[tuple[str, LogLine]]:
    """New lines of all attempts of a run, until it has ended and nothing is left."""
    read_to: dict[AttemptId, tuple[int, bytes]] = {}  # how far, and the beginning of a line
    while True:
        over = ended()  # asked before the last look
        for name, attempt in attempts():
            at, rest = read_to.get(attempt, (0, b""))
            with log_file(project.home, attempt).open("rb") as file:
                file.seek(at)
                while data := file.read(1 << 16):
                    at += len(data)
                    *lines, rest = (rest + data).split(b"\n")
                    yield from ((name, parsed(line)) for line in lines)
            if over and rest:
                yield name, parsed(rest)
            read_to[attempt] = (at, rest)
        if over:
            return
        time.sleep(_LOOK_EVERY)


def _print(lines: Iterator[LogLine], prefix: str, name: str, *, json_: bool) -> int:
    style, count = style_of(sys.stdout), 0
    for line in lines:
        count += 1
        if json_:
            click.echo(msgspec.json.encode({"task": name, "at": line.at, "source": line.source, "text": line.text}).decode())
        else:
            click.echo(f"{style.dim(line.at[11:23])} {prefix}{_marked(line, style)}")
    return count


def _marked(line: LogLine, style: Style) -> str:
    if line.source == "out":
        return line.text
    state = "failed" if line.source in ("ERROR", "CRITICAL", "gap") else "retrying" if line.source == "WARNING" else ""
    return f"{style.paint(line.source, state)} {line.text}" if line.source != "err" else style.paint(line.text, "retrying")

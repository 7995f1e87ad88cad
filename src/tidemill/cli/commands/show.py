"""`tidemill show`: one run, task by task; a mapped task, item by item; an asset, version by version."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from tidemill.cli.options import as_json, find_task, in_project, opened
from tidemill.cli.options import environment as environment_option
from tidemill.cli.render.summary import failure_lines, run_data, task_data
from tidemill.cli.render.words import Style, clip, counted, duration, instant, json_text, size, style_of, table, when
from tidemill.cli.versions import run_or_asset, show_asset
from tidemill.machine.states import BAD_ENDS, GOOD_ENDS, RUN_ENDS, TASK_ENDS, TaskState
from tidemill.ports import AttemptRow, NoteRow, RunRow, Store, TaskFilter, TaskRow
from tidemill.project.forecast import node_key
from tidemill.project.result import task_rows
from tidemill.project.values import preview


@click.command("show")
@click.argument("run")
@click.argument("task", required=False)
@click.option("--state", "states", multiple=True, help="Only tasks in this state; may be given several times.")
@click.option("--limit", default=200, show_default=True, help="How many tasks, items or versions at most.")
@as_json
@environment_option
@in_project
def command(run: str, task: str | None, states: tuple[str, ...], limit: int, **given: Any) -> int:
    """One run, task by task; or the versions of an asset. With TASK, that task and its items.

    RUN is an id, its unique beginning, or `last`. Else it is the name of an asset or source.
    """
    json_, environment, project = given["json_"], given["environment"], given["project"]
    found = opened(project, environment)
    store = found.store()
    try:
        row = run_or_asset(store, run, task)
        if row is None:
            show_asset(store, found, run, limit, json_=json_)
        elif task is None:
            _show_run(store, row, _which(states), limit, json_=json_, now=found.clock.now())
        else:
            _show_task(store, row, find_task(store, row, task), _which(states), limit, json_=json_)
    finally:
        store.close()
    return 0


def _which(states: tuple[str, ...]) -> tuple[TaskState, ...]:
    try:
        return tuple(map(TaskState, states))
    except ValueError:
        raise click.BadParameter(f"the states of tasks are {', '.join(TaskState)}", param_hint="--state") from None


def _show_run(store: Store, row: RunRow, states: tuple[TaskState, ...], limit: int, *, json_: bool, now: float) -> None:
    tasks = list(task_rows(store, row.id, TaskFilter(states=states), most=limit))
    counts = store.counts(row.id)
    if json_:
        data = run_data(row, tasks, [])
        data["tasks"] = [{**task_data(task), **({"items": counts.get(task.place)} if task.size is not None else {})} for task in tasks]
        del data["failures"]
        if row.failure is not None:
            data["failure"] = row.failure
        click.echo(json_text(data))
        return
    style = style_of(sys.stdout)
    for line in (*_head(row, style, now), ""):
        click.echo(style.text(line))
    order = {node.key: n for n, node in enumerate(store.graph(row.graph).nodes)}
    tasks.sort(key=lambda task: order.get(node_key(task.place), len(order)))  # as in the flow; what a dynamic one called comes last
    for line in table(("TASK", "STATE", "TOOK", "TRIES", ""), [_cells(task, counts, now) for task in tasks], style, states=1):
        click.echo(style.text(line))
    if len(tasks) == limit:
        click.echo(f"Only the first {limit:,} are shown: --limit, --state failed", err=True)
    if row.output is not None:
        click.echo(f"\nreturned: {clip(preview(row.output), 2000)}")


def _head(row: RunRow, style: Style, now: float) -> Iterable[str]:
    took = f", took {duration((row.ended_at or now) - row.started_at)}" if row.started_at is not None else ""
    yield f"{style.bold(f'Run {row.id} of {row.flow}')}: {style.paint(str(row.state), row.state)}{took}"
    yield f"  made {when(row.created_at)}, {row.origin}" + (f", retry of {row.retry_of}" if row.retry_of else "")
    if row.params:
        yield "  with " + ", ".join(f"{name}={value}" for name, value in row.params.items())
    if row.because and row.state in RUN_ENDS:
        yield f"  because {row.because}"
    if row.counts:
        yield f"  {counted(row.counts)}"
    if row.recoveries:
        yield f"  it went on {row.recoveries} times after its process had ended"


def _cells(task: TaskRow, counts: Mapping[str, Mapping[str, int]], now: float) -> tuple[str, ...]:
    return (task.name or task.place, str(task.state), _took(task, now), str(task.attempt or ""), _why(task, counts))


def _took(task: TaskRow, now: float) -> str:
    if task.started_at is None or (task.ended_at is None and task.state in TASK_ENDS):
        return ""
    return duration((task.ended_at or now) - task.started_at)


def _why(task: TaskRow, counts: Mapping[str, Mapping[str, int]]) -> str:
    if task.size is not None:
        return counted(counts.get(task.place, {})) if task.size else "mapped over nothing"
    if task.failure is not None and task.state in (*BAD_ENDS, TaskState.RETRYING):
        kind = task.failure.type.removeprefix("builtins.") or task.failure.cause
        return f"{kind}: {task.failure.message}" if task.failure.message else kind
    if task.output is not None and task.state in GOOD_ENDS:
        output = task.output
        text = clip(output.preview, 60) if output.preview is not None and output.codec == "json" else f"{output.type}, {size(output.size)}"
        return f"{text}{f' ({task.because})' if task.because else ''}"
    return task.because


# ---------------------------------------------------------------- one task


def _show_task(store: Store, row: RunRow, task: TaskRow, states: tuple[TaskState, ...], limit: int, *, json_: bool) -> None:
    attempts = store.attempts(row.id, task.place, task.unit)
    notes = [note for note in store.notes(row.id, task.place) if note.unit == task.unit]
    items: list[TaskRow] = []
    if task.size is not None and task.unit == 0:
        items = list(task_rows(store, row.id, TaskFilter(place=task.place, states=states), most=limit))
    if json_:
        data: dict[str, Any] = task_data(task)
        data["attempts"] = [_attempt_data(attempt) for attempt in attempts]
        data["notes"] = [{"kind": note.kind, "name": note.name, "value": note.value, "at": instant(note.at)} for note in notes]
        if task.size is not None and task.unit == 0:
            data["items"] = [task_data(item) for item in items]
        click.echo(json_text(data))
        return
    style = style_of(sys.stdout)
    for line in _task_lines(task, attempts, notes, style):
        click.echo(style.text(line))
    if items:
        counts: dict[str, dict[str, int]] = {}
        click.echo("")
        cells = [_cells(item, counts, item.started_at or 0.0) for item in items]
        for line in table(("ITEM", "STATE", "TOOK", "TRIES", ""), cells, style, states=1):
            click.echo(style.text(line))
        if len(items) == limit:
            click.echo(f"Only the first {limit:,} are shown: --limit, --state failed", err=True)


def _attempt_data(attempt: AttemptRow) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt, "started_at": instant(attempt.started_at), "ended_at": instant(attempt.ended_at),
        "failure": attempt.failure,
    }  # fmt: skip


def _task_lines(task: TaskRow, attempts: list[AttemptRow], notes: list[NoteRow], style: Style) -> Iterable[str]:
    took = f", took {duration(task.ended_at - task.started_at)}" if task.started_at is not None and task.ended_at is not None else ""
    yield f"{style.bold(f'Task {task.name or task.place}')} of run {task.run}: {style.paint(str(task.state), task.state)}{took}"
    yield f"  {task.task}" + (f", attempt {task.attempt}" if task.attempt else "")
    if task.because:
        yield f"  because {task.because}"
    if task.memory or task.cpu:
        yield f"  {duration(task.cpu)} of processor time" + (f", {size(task.memory)} of memory at most" if task.memory else "")
    for attempt in attempts:
        failure = attempt.failure
        why = f"{failure.type.removeprefix('builtins.') or failure.cause}: {failure.message}" if failure is not None else ""
        yield f"  attempt {attempt.attempt} ended {when(attempt.ended_at)}: {clip(why, 300)}"
    for note in notes:
        yield f"  {note.kind} {note.name}: {note.value if note.value is not None else note.handle.preview if note.handle else ''}"
    if task.failure is not None and task.state in BAD_ENDS:
        yield from ("", *failure_lines(task.name or task.place, task.failure, style))
    if task.output is not None and task.state in GOOD_ENDS:
        output = task.output
        rows = f", {output.rows:,} rows" if output.rows is not None else ""
        yield f"  returned {output.type} ({output.codec}, {size(output.size)}{rows}, {output.digest[:12]}…)"
        if output.note:
            yield f"  note: {output.note}"
        if output.preview:
            yield from ("", *output.preview.splitlines())

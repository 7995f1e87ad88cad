"""`tidemill replay`: one past task, here, with its exact inputs. Changes nothing that is stored."""

from __future__ import annotations

import click

from tidemill.cli.options import as_json, find_run, find_task, in_project, opened
from tidemill.cli.render.words import clip, json_text
from tidemill.errors import Problem
from tidemill.project.replay.replaying import prepare, replay, same
from tidemill.project.session import folded


@click.command("replay")
@click.argument("run")
@click.argument("task")
@click.option("--debug", is_flag=True, help="Open the debugger where it fails.")
@as_json
@in_project
def command(run: str, task: str, debug: bool, json_: bool, project: str) -> int:
    """Run one past task here, with its exact inputs. Changes nothing that is stored.

    RUN is an id, its unique beginning, or `last`; TASK is one task or one item of it: load[3].
    """
    found = opened(project)
    store = found.store()
    try:
        row = find_run(store, run)
        one = find_task(store, row, task)
        work = prepare(found, folded(store, row), row, one)
    finally:
        store.close()
    done = replay(work, debug=debug)
    if done.problem is not None:
        raise Problem.of(done.problem)
    equal = same(done.result, one.output)
    if json_:
        click.echo(json_text({
            "run": row.id, "task": one.name, "succeeded": done.result is not None, "error": done.error, "same": equal,
            "digest": done.result.digest if done.result else None, "stored_digest": one.output.digest if one.output else None,
        }))  # fmt: skip
        return 0 if done.result is not None else 1
    if done.result is None:
        then = "as it did then" if one.output is None else "though it succeeded then"
        click.echo(f"{one.name} failed here, {then}: {done.error}", err=True)
        return 1
    if done.result.preview is not None:
        click.echo(clip(done.result.preview, 2000))
    if one.output is None:
        said = f"succeeded here; in run {row.id} it is {one.state}"
    elif equal:
        said = f"returned the same as in run {row.id} ({done.result.digest[:12]}…)"
    else:
        said = f"returned something different: {done.result.digest[:12]}… here, {one.output.digest[:12]}… in run {row.id}"
    click.echo(f"{one.name} {said}.", err=True)
    return 0

"""Options and arguments that several commands share, and how they find their project, run and task."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tidemill.errors import BadSetting, Problem, Unknown, nearest
from tidemill.project.places import find
from tidemill.project.project import Project

if TYPE_CHECKING:
    from tidemill.ports import RunRow, Store, TaskRow

__all__ = [
    "as_json", "could_be_assets", "environment", "find_run", "find_task", "in_project", "looks_like_assets", "opened", "split_words",
    "with_flow_parameters",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])
_SELECTION = re.compile(r"[+@:,*/]")

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON for other programs.")
environment = click.option("--env", "environment", default="default", metavar="NAME", help="The environment of the settings.")
in_project = click.option(
    "--project", "-C", "project", default="", metavar="PATH", help="The project's file or folder; else that of this folder."
)


def opened(project: str, environment: str = "default") -> Project:
    """The project that a command is about. Raises `NoProject`, `BadSetting`."""
    return Project.at(find([project] if project else [], Path.cwd()), environment)


def find_run(store: Store, word: str) -> RunRow:
    """The run that a person means: an id, its unique beginning, or `last`. Raises `Unknown`."""
    from tidemill.ports import Page, RunFilter  # lazily: only commands with a store

    if word == "last":
        rows = store.runs(RunFilter(), Page(limit=1))
        if not rows:
            raise Unknown("run", word, known=(), see="tidemill runs")
        return rows[0]
    try:
        return store.run(word)
    except Unknown as unknown:
        if nearest(word, ["last"]):
            unknown.mend = "Did you mean 'last'?"
        raise


def find_task(store: Store, run: RunRow, word: str) -> TaskRow:
    """The task that a person means: "clean", "load[3]", "load[fr]", "region[2].load". Raises `Unknown`."""
    from tidemill.ports import TaskFilter  # lazily: only commands with a store
    from tidemill.project.result import task_rows

    try:
        return store.task(run.id, word, 0)
    except Unknown as unknown:
        place, bracket, name = word.rpartition("[")
        if not bracket or not name.endswith("]"):
            raise unknown from None
        name = name[:-1]
        if name.isdecimal():
            try:
                return store.task(run.id, place, int(name) + 1)
            except Unknown:
                pass  # a key that is a number
        for row in task_rows(store, run.id, TaskFilter(place=place)):
            if row.name == word:
                return row
        raise unknown from None


# ---------------------------------------------------------------- parameters of flows


def with_flow_parameters(function: F) -> F:
    """Let a command take `--param name=value` and, beside it, any `--name value`; both end in `words`."""
    option = click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; also: --NAME VALUE.")
    function = option(function)
    return click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[TARGET] [FLOW] [--NAME VALUE]...")(function)


def split_words(words: Sequence[str], params: Sequence[str] = ()) -> tuple[list[str], dict[str, object]]:
    """What click left over, as targets and parameters. `--flag` alone is true, and `-1` after a name is a value. Raises `BadSetting`."""
    targets: list[str] = []
    raw: dict[str, object] = {}
    for text in params:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadSetting(f"--param {text} has no value.", mend=f"Write it as --param {name or 'name'}=value.")
        _set(raw, name, value)
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            targets += queue
            break
        if not word.startswith("--"):
            if word.startswith("-") and len(word) > 1:
                raise BadSetting(f"There is no option {word}.", mend="See them with --help. Parameters of the flow: --name value.")
            targets.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if equals:
            _set(raw, name, value)
        elif queue and not queue[0].startswith("--"):
            _set(raw, name, queue.pop(0))
        else:
            _set(raw, name, "true")
    return targets, raw


def _set(raw: dict[str, object], name: str, value: str) -> None:
    key = name.replace("-", "_")
    if key in raw:
        raise BadSetting(f"The parameter {key!r} is given twice.", mend="Give it once; a list is written as 'a,b' or as JSON.")
    raw[key] = value


def only_flow(names: Sequence[str]) -> str | None:
    """The flow that was named, None for the only one. Raises `BadSetting` for several."""
    if len(names) > 1:
        raise BadSetting(
            f"Several targets were given: {', '.join(names)}.",
            why="One flow is run at a time; the word before it may say where: a file, a folder or a module.",
            mend=f"Run them one after another: tidemill run {names[0]}",
        )
    return names[0] if names else None


# ---------------------------------------------------------------- flows or assets


def looks_like_assets(names: Sequence[str]) -> bool:
    """Whether these words can only be a selection of assets, not the name of a flow."""
    return len(names) > 1 or any(_SELECTION.search(name) for name in names)


def could_be_assets(problem: Problem) -> bool:
    """Whether a flow was not found, or there is not exactly one, so that assets may be meant."""
    return problem.report().code in ("unknown-name", "bad-setting")

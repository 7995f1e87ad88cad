"""The command `tidemill`: its sub-commands by name, imported when they are called; problems and interruptions as exit codes."""

from __future__ import annotations

import importlib
import os
import sys

import click

from tidemill._version import __version__
from tidemill.errors import BadSetting, Problem, Unknown

__all__ = ["COMMANDS", "cli", "run_command"]

# Name → what it does, in the order in which a newcomer needs them. Each lives in the module of its name.
COMMANDS = {
    "run": "Run a flow, or bring assets up to date, with live progress.",
    "plan": "What a run would do, and why.",
    "ls": "The flows, tasks, assets and sources of the project.",
    "runs": "What was run, newest first.",
    "show": "One run, task by task; or the versions of an asset.",
    "logs": "What tasks printed and logged.",
    "explain": "Why something ran, did not, failed or waits.",
    "retry": "Run again what did not succeed, reusing what did.",
    "cancel": "Ask a run to end.",
    "replay": "Run one past task here, with its exact inputs.",
    "env": "Environments: branches of data that copy nothing.",
    "promote": "Move what one environment shows to another; or roll back.",
    "doctor": "Check that all promises hold.",
    "gc": "Delete old runs, and values and logs that nothing needs.",
    "db": "The metadata store.",
}


class _Lazy(click.Group):
    """Sub-commands that are imported when they are called; the list of them costs no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:  # noqa: ARG002 - click's
        if name not in COMMANDS:
            raise Unknown("command", name, known=COMMANDS, see="tidemill --help")
        found: click.Command = importlib.import_module(f"tidemill.cli.commands.{name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tidemill")
def cli() -> None:
    """Tidemill runs plain Python functions as durable, explained pipelines.

    Begin with: tidemill run FILE.py
    """


def run_command(words: list[str]) -> int:
    """Run one command line. 0: all well; 1: something failed; 2: a mistake to mend; 130: interrupted."""
    try:
        code = cli.main(words, prog_name="tidemill", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except Problem as problem:
        return _tell(problem)
    except click.ClickException as mistake:
        mistake.show()
        return mistake.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted.")
        return 130
    except BrokenPipeError:
        # The reader has had enough (`| head`): nothing more can be said, also not by the interpreter when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RecursionError as error:  # a graph or value nested beyond reason: theirs to mend
        return _tell(BadSetting("Something is nested too deep.", why=str(error)))


def _tell(problem: Problem) -> int:
    from tidemill.cli.render.problem import problem_text  # lazily: most commands have none
    from tidemill.cli.render.words import style_of

    _say(problem_text(problem, style_of(sys.stderr)))
    return 2


def _say(text: str) -> None:
    try:
        click.echo(text, err=True)
    except UnicodeEncodeError:
        click.echo(text.encode("ascii", "replace").decode(), err=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

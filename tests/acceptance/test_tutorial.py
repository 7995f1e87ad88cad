"""The tutorial is true: its files are written, its commands are run in order, and they print what it says they print."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from command_line import COMMAND, Folder

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
FAIL = {"tidemill run shops.py": 1, "tidemill replay last 'orders[3]'": 1}  # the page says of these that they fail


def steps(page: str) -> list[tuple[str, str]]:
    """Files as (name, text), and commands as ("$ …", what they print)."""
    found = []
    for kind, body in BLOCK.findall(page):
        if kind == "python":
            found.append((re.match(r"# (\S+)\n", body)[1], body))
        else:
            for part in re.split(r"^(?=\$ )", body, flags=re.MULTILINE):
                if part:
                    command, _, out = part.partition("\n")
                    found.append((command, out))
    return found


def test_every_file_and_command_of_the_tutorial_does_what_it_says(folder: Folder) -> None:
    for name, text in steps((DOCS / "tutorial.md").read_text()):
        if not name.startswith("$ "):
            folder.write(text, name)
            continue
        line = name.removeprefix("$ ")
        first, *rest = shlex.split(line)
        command = {"tidemill": [str(COMMAND)], "python": [sys.executable]}.get(first, [first])
        done = subprocess.run([*command, *rest], cwd=folder.path, env=folder.env(), capture_output=True, text=True, check=False)
        assert done.returncode == FAIL.get(line, 0), f"{line}\n{done.stdout}{done.stderr}"
        assert not text or done.stdout == text, line
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder.path, capture_output=True, check=False
    )
    assert tests.returncode == 0, tests.stdout.decode()
    folder.all_is_well()


def test_the_page_of_commands_has_every_command_and_every_option() -> None:
    import click

    from tidemill.cli.app import COMMANDS, cli

    page = (DOCS / "commands.md").read_text()
    missing = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        parts = re.split(rf"\n## `tidemill {name}(?=[ `])", page)
        assert len(parts) == 2, name
        text = parts[1].split("\n## ")[0] + _common(page)
        options = [option for sub in _leaves(command) for option in sub.params if isinstance(option, click.Option)]
        missing += [f"{name} {word}" for option in options for word in option.opts if word.startswith("--") and f"`{word}" not in text]
    assert not missing


def _leaves(command: object) -> list:
    import click

    return list(command.commands.values()) if isinstance(command, click.Group) else [command]


def _common(page: str) -> str:
    return page.split("\n## Everywhere\n")[1].split("\n## ", maxsplit=1)[0]

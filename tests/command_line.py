"""The installed command in a folder: how tests call it, and wait for what it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).parent / "tidemill"


class Told(subprocess.CompletedProcess[str]):
    """What a command said; `json` is its standard output read as JSON."""

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Going:
    """A command that still runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def until(self, text: str) -> str:
        """Read what it tells people up to the line with `text`, and return that line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if text in line:
                return line
        pytest.fail(f"it ended without saying {text!r}:\n{self.said}")

    def send(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def end(self) -> Told:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=60)
        return Told(self.process.args, self.process.returncode, out, self.said + err)


class Folder:
    """An empty folder with a pipeline, and the command in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.going: list[Going] = []

    def write(self, text: str, name: str = "pipeline.py") -> None:
        (self.path / name).write_text(text)

    def env(self, **more: str | None) -> dict[str, str]:
        """A clean environment; None takes a variable out."""
        found: dict[str, str | None] = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL_")}
        found |= {"NO_COLOR": None, "FORCE_COLOR": None}
        found |= more
        return {name: value for name, value in found.items() if value is not None}

    def tidemill(self, *words: str, code: int = 0, **env: str | None) -> Told:
        """Run a command to its end; its exit code must be `code`."""
        done = subprocess.run(
            [COMMAND, *words], cwd=self.path, env=self.env(**env), capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Told(done.args, done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **env: str | None) -> Going:
        """Begin a command."""
        process = subprocess.Popen(
            [COMMAND, *words], cwd=self.path, env=self.env(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.going.append(Going(process))
        return self.going[-1]

    def all_is_well(self) -> None:
        """What `doctor` must say after everything."""
        assert self.tidemill("doctor").stdout.endswith("All is well.\n")

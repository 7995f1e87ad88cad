"""Terminals, pipes, locales and homes of all kinds: the command behaves in each."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from command_line import COMMAND, Folder

UP = re.compile(r"\x1b\[(\d+)F")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(
    folder: Folder, *words: str, columns: int = 80, lines: int = 24, types: tuple[bytes, bytes] = (b"", b""), **env: str | None
) -> tuple[str, int]:
    """What a person sees who runs a command, and its exit code. `types`: a prompt, and what is typed at it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [COMMAND, *words],
        cwd=folder.path,
        env=folder.env(**{"TERM": "xterm-256color", "COLUMNS": None, "LINES": None, **env}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer is gone
            break
        if not data:
            break
        seen += data
        if types[0] and types[0] in seen:
            os.write(ours, types[1])
            types = (b"", b"")
    os.close(ours)
    return seen.decode(), process.wait()


def last_picture(seen: str) -> list[str]:
    """The lines of the last drawing, without colours."""
    return [ESCAPE.sub("", line).rstrip() for line in seen.rsplit("\x1b[?25l", 1)[1].split("\x1b[J", maxsplit=1)[0].splitlines()]


def test_on_a_terminal_a_tree_is_drawn_and_left_there(three: Folder) -> None:
    seen, code = on_a_terminal(three, "run")
    assert code == 0
    head, extract, load, total, sums = last_picture(seen)
    assert re.fullmatch(r"nightly  \w{16}  succeeded  \d\.\d\d s", head)
    assert extract.startswith("  ✓ extract")
    assert "█" * 20 + " 3/3" in load
    assert total.startswith("  ✓ total")
    assert sums == "  5 succeeded"
    assert seen.rstrip().endswith("60")


def test_a_narrow_terminal_is_not_overrun(three: Folder) -> None:
    three.tidemill("run")
    for columns in (20, 34):
        seen, _ = on_a_terminal(three, "run", columns=columns)
        assert max(len(line) for line in last_picture(seen)) <= columns


def test_no_color_and_a_dumb_terminal_are_obeyed(three: Folder) -> None:
    seen, _ = on_a_terminal(three, "run", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*m", seen)
    assert "\x1b" not in on_a_terminal(three, "run", TERM="dumb")[0]
    assert "\x1b" not in on_a_terminal(three, "runs", NO_COLOR="1")[0]
    assert "\x1b[32m" in on_a_terminal(three, "runs")[0]


def test_without_unicode_all_is_told_in_ascii(three: Folder) -> None:
    env = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = three.tidemill("run", **env)
    assert done.stderr.isascii()
    assert "+ total succeeded" in done.stderr
    assert three.tidemill("plan", **env).stdout.isascii()
    seen, code = on_a_terminal(three, "run", **env)
    assert code == 0
    assert seen.isascii()


def test_texts_beyond_ascii_do_not_break_an_ascii_terminal(folder: Folder) -> None:
    folder.write(
        "from tidemill import flow, task\n\n@task\ndef größe() -> str:\n    print('Größe: 日本')\n    return 'Größe 日本'\n\n"
        "@flow\ndef f():\n    return größe()\n"
    )
    env = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert folder.tidemill("run").stdout == '"Größe 日本"\n'
    for words in ("run", "show last", "logs last", "explain last", "ls", "plan"):
        assert "Traceback" not in folder.tidemill(*words.split(), **env).stderr


def test_a_reader_that_has_had_enough_is_no_error(three: Folder) -> None:
    three.tidemill("run")
    for words in ("runs --json", "ls --json", "show last --json"):
        done = subprocess.run(
            ["sh", "-c", f"{COMMAND} {words} | head -c 1; true"],
            cwd=three.path,
            env=three.env(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "{"
        assert done.stderr == ""


def test_without_a_home_of_the_user_all_works(three: Folder) -> None:
    assert three.tidemill("run", HOME=None).stdout == "60\n"
    assert three.tidemill("run", HOME="/nonexistent").stdout == "60\n"


def test_the_state_can_be_moved_by_variables(three: Folder, tmp_path: Path) -> None:
    env = {"TIDEMILL_HOME": str(tmp_path / "state")}
    three.tidemill("run", **env)
    assert not (three.path / ".tidemill").exists()
    assert (tmp_path / "state" / "tidemill.db").exists()
    assert three.tidemill("show", "last", **env).stdout.endswith("returned: 60\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="to root every folder is writable")
def test_a_folder_that_cannot_be_written_says_how_to_move_the_state(three: Folder) -> None:
    three.path.chmod(0o500)
    try:
        said = three.tidemill("run", code=2).stderr
    finally:
        three.path.chmod(0o700)
    assert "error[no-home]" in said
    assert "TIDEMILL_HOME" in said


def test_a_state_folder_that_is_a_file_says_how_to_move_the_state(three: Folder) -> None:
    (three.path / ".tidemill").write_text("")
    said = three.tidemill("run", code=2).stderr
    assert "error[no-home]" in said
    assert "TIDEMILL_HOME" in said


def test_paths_with_spaces_and_words_of_other_languages_work(folder: Folder) -> None:
    inner = folder.path / "mein Ordner ü"
    inner.mkdir()
    (inner / "flow.py").write_text(
        "from tidemill import flow, task\n\n@task\ndef a() -> int:\n    return 1\n\n@flow\ndef f():\n    return a()\n"
    )
    assert folder.tidemill("run", "mein Ordner ü/flow.py").stdout == "1\n"
    assert folder.tidemill("show", "last", "--project", "mein Ordner ü").stdout.endswith("returned: 1\n")


def test_a_replay_opens_the_debugger_where_it_failed(folder: Folder) -> None:
    folder.write(
        "from tidemill import flow, task\n\n@task\ndef a(x: int) -> int:\n    y = x + 1\n    raise ValueError('no')\n\n"
        "@flow\ndef f():\n    return a(41)\n"
    )
    folder.tidemill("run", code=1)
    seen, code = on_a_terminal(folder, "replay", "last", "a", "--debug", types=(b"(Pdb)", b"p y * 10\nq\n"))
    assert "pipeline.py(6)a()" in seen
    assert "420" in seen
    assert code == 1

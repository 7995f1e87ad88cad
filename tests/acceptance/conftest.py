"""The installed command in an empty folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command_line import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "project")
    made.path.mkdir()
    yield made
    for going in made.going:
        if going.process.poll() is None:
            going.process.kill()
        going.process.communicate()


THREE = '''
from tidemill import flow, task

@task
def extract() -> list[int]:
    """The numbers."""
    print("extracting")
    return [1, 2, 3]

@task
def load(x: int) -> int:
    print("loading", x)
    return x * 10

@task
def total(xs: list[int]) -> int:
    return sum(xs)

@flow
def nightly(bonus: int = 0):
    """All of it."""
    return total(load.map(extract()))
'''


@pytest.fixture
def three(folder: Folder) -> Folder:
    """Extract, a map over what it returned, and a sum."""
    folder.write(THREE)
    return folder


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Whether a process is not there any more (a zombie is not)."""

    def look(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
        except OSError:
            return True

    return look

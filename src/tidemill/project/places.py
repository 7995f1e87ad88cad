"""Where a project is: which folder has its settings and state, and what the loader is to import. Imports no user code.

Reads names and the first bytes of files; knows no store and no engine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import msgspec

from tidemill.errors import Problem, nearest
from tidemill.executors.far.problems import NoProject

__all__ = ["NoHistory", "Place", "find", "project_folder"]

_SPEAKS_OF_US = re.compile(rb"^[ \t]*(?:from|import)[ \t]+tidemill\b", re.MULTILINE)
_DOTTED = re.compile(r"\w+(?:\.\w+)+")


class NoHistory(Problem):
    """A project in which nothing was ever run, or the wrong folder."""

    code = "no-history"

    def __init__(self, home: Path, elsewhere: Sequence[Path] = ()) -> None:
        other = elsewhere[0] if elsewhere else None
        super().__init__(
            f"Nothing was run yet in {home.parent}.",
            why=f"There is no history in {home}.",
            mend=f"There is one in {other}: add --project {other}" if other else "Run something first: tidemill run FILE.py",
        )


class Place(msgspec.Struct, frozen=True):
    """A project: `folder` has its settings, `target` is what the loader imports (a file, a folder, or a module by name)."""

    folder: Path
    target: str
    names: tuple[str, ...] = ()  # the words that were not places: flows


def find(words: Sequence[str], current: Path) -> Place:
    """The project that the words of a command line mean, seen from the folder `current`.

    The first word may say where: it ends in `.py`, is a folder, or is a module (dotted, or a file `word.py` here). Else it
    is the project of the current folder. Raises `NoProject`.
    """
    first, rest = (words[0], tuple(words[1:])) if words else ("", ())
    if first.endswith(".py"):
        file = current / first
        if not file.is_file():
            raise _no_file(first, current)
        return Place(project_folder(file.resolve().parent), str(file.resolve()), rest)
    if first and (current / first).is_dir() and _is_project(current / first):
        folder = (current / first).resolve()
        return Place(folder, str(folder), rest)
    if "/" in first:
        raise _no_file(first, current)
    if first and (current / f"{first}.py").is_file():
        return Place(project_folder(current), str(current / f"{first}.py"), rest)
    if _DOTTED.fullmatch(first) and _importable(first, current):
        return Place(project_folder(current, history=True), first, rest)
    folder = project_folder(current, history=True)
    return Place(folder, str(folder), tuple(words))


def project_folder(start: Path, *, history: bool = False) -> Path:
    """The nearest folder at or above `start` with settings (or, if `history` counts, with a `.tidemill`); else `start` itself."""
    for folder in (start, *start.parents):
        if (folder / "tidemill.toml").is_file() or (history and (folder / ".tidemill").is_dir()):
            return folder
        settings = folder / "pyproject.toml"
        try:
            if settings.is_file() and b"[tool.tidemill" in settings.read_bytes():
                return folder
        except OSError:
            continue  # not ours to read, so not ours
        if history and folder == start and _speakers(folder):
            return folder
    return start


def check_definitions(place: Place, modules: Sequence[str]) -> None:
    """Raise `NoProject` when there is nothing to import, before anything is made on disk."""
    folder = Path(place.target)
    if folder.is_dir() and not modules and not _speakers(folder):
        near = sorted(path.name for path in folder.glob("*.py"))
        raise NoProject(
            f"There is no pipeline in {folder}.",
            why=f"None of {', '.join(near[:4])} imports tidemill." if near else "No *.py file of that folder imports tidemill.",
            mend="Give the file or the module, or list modules under [tool.tidemill] in pyproject.toml.",
        )


def histories_below(folder: Path) -> list[Path]:
    """Folders a little below that have a history, for a hint."""
    found = [*folder.glob("*/.tidemill"), *folder.glob("*/*/.tidemill")]
    return sorted(path.parent.relative_to(folder) for path in found[:20])


def _is_project(folder: Path) -> bool:
    return (folder / "tidemill.toml").is_file() or (folder / "pyproject.toml").is_file() or bool(_speakers(folder))


def _speakers(folder: Path) -> list[Path]:
    """Files that import tidemill, by a look at their text."""
    try:
        return [path for path in sorted(folder.glob("*.py")) if _SPEAKS_OF_US.search(path.read_bytes())]
    except OSError:
        return []


def _importable(name: str, current: Path) -> bool:
    """Whether a module of that name can be found. Packages above it are not imported, only looked for."""
    parts = name.split(".")
    if (current / Path(*parts)).with_suffix(".py").is_file() or (current / Path(*parts) / "__init__.py").is_file():
        return True
    return PathFinder.find_spec(parts[0]) is not None


def _no_file(name: str, current: Path) -> NoProject:
    folder = (current / name).parent
    known = [path.name for path in folder.glob("*.py")] if folder.is_dir() else []
    guess = nearest(Path(name).name, known)
    where = "" if folder == current else f" in {folder}"
    return NoProject(
        f"There is no {name}.",
        why=f"The files there are: {', '.join(sorted(known)[:6])}." if known else f"There are no *.py files{where}.",
        mend=f"Did you mean {(Path(name).parent / guess)}?" if guess else "Check its name and the current folder.",
    )

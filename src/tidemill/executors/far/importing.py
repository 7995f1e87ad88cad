"""A project's modules, imported: a folder, a file, or modules by name. Knows nothing of what they define."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

from tidemill.executors.far.problems import CannotImport, NoProject

_SPEAKS_OF_US = re.compile(rb"^\s*(?:from|import)\s+tidemill\b", re.MULTILINE)


def import_project(project: str, modules: tuple[str, ...] = ()) -> list[ModuleType]:
    """Import the project and return its modules. Raises `CannotImport`, `NoProject`."""
    folder, names = _found(project, modules)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return [_imported(name) for name in names]


def _found(project: str, modules: tuple[str, ...]) -> tuple[Path, list[str]]:
    path = Path(project)
    if path.is_file():
        return _package_root(path.resolve())
    if path.is_dir():
        folder = path.resolve()
        if modules:
            return folder, list(modules)
        files = sorted(file for file in folder.glob("*.py") if file.stem.isidentifier() and _SPEAKS_OF_US.search(file.read_bytes()))
        if not files:
            raise NoProject(
                f"There is no pipeline in {project}.",
                why="No *.py file of that folder imports tidemill.",
                mend="Give the file or the module, or list modules under [tool.tidemill] in pyproject.toml.",
            )
        return folder, [file.stem for file in files]
    if re.fullmatch(r"\w+(\.\w+)*", project) and not project.endswith(".py"):
        return Path.cwd(), [project, *modules]
    raise NoProject(
        f"There is no {project}.", why="It is neither a file, a folder nor a module.", mend="Check its name and the current folder."
    )


def _package_root(file: Path) -> tuple[Path, list[str]]:
    """A file inside a package is imported by its full name, so that its relative imports work."""
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").exists() and folder.name.isidentifier() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__":
        parts.pop()
    return folder, [".".join(parts)]


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 - exit() and KeyboardInterrupt at import are mistakes of theirs as well
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        raise CannotImport(name, error) from None

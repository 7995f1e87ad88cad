"""Where a module's source is, loaded or not, and what the attribute of a module stands for.

Imports nothing: modules that are not loaded are found by the path finder and read as text.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tidemill.fingerprint.scopes import Imported
from tidemill.fingerprint.sources import SourceFile, opened

__all__ = ["Module", "absolute", "named", "siblings", "spoken"]


class Module(NamedTuple):
    """A module's name and file; `live` is the loaded one, when what it holds now may be looked at."""

    name: str
    file: str
    source: SourceFile | None
    package: str  # what relative imports start from
    folders: tuple[str, ...]  # of a package
    live: ModuleType | None


def named(name: str, *, loaded: bool) -> Module | None:
    """The module of that name; with `loaded`, as it is in `sys.modules`. None if there is none."""
    live = sys.modules.get(name) if loaded else None
    if isinstance(live, ModuleType):
        folders = tuple(str(one) for one in getattr(live, "__path__", ()))
        file = _source_of(getattr(live, "__file__", None) or "")
        package = name if folders else name.rpartition(".")[0]
        stated = getattr(live, "__package__", None)
        return Module(name, file, opened(file, vars(live)) if file else None, stated or package, folders, live)
    return _unloaded(name)


def _unloaded(name: str) -> Module | None:
    within, _, last = name.rpartition(".")
    path: list[str] | None = None
    if within:
        parent = named(within, loaded=False)
        if parent is None or not parent.folders:
            return None
        path = list(parent.folders)
    spec = PathFinder.find_spec(name if within else last, path)
    if spec is None:
        return None
    folders = tuple(spec.submodule_search_locations or ())
    file = _source_of(spec.origin or "")
    return Module(name, file, opened(file) if file else None, name if folders else within, folders, None)


def _source_of(file: str) -> str:
    return "" if file in ("built-in", "frozen") else file.removesuffix("c") if file.endswith(".pyc") else file


def absolute(imported: Imported, package: str) -> str:
    """The full name of the module that an import inside `package` speaks of."""
    if not imported.level:
        return imported.module
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - imported.level + 1])
    return f"{base}.{imported.module}".strip(".") if imported.module else base


def siblings(module: Module) -> list[str]:
    """Every module of the project as far as files tell: of the top-level package, or else of the folder that `module` is in."""
    top = module.name.partition(".")[0]
    if "." in module.name or module.folders:
        root = named(top, loaded=False) or named(top, loaded=True)
        return sorted(_below(root.folders, f"{top}.") | {top}) if root else []
    return sorted(_below((str(Path(module.file).parent),), "", deep=False)) if module.file else []


def _below(folders: tuple[str, ...], prefix: str, *, deep: bool = True) -> set[str]:
    found: set[str] = set()
    for folder in folders:
        for entry in os.scandir(folder) if Path(folder).is_dir() else ():
            if entry.is_file() and entry.name.endswith(".py") and entry.name != "__init__.py":
                found.add(prefix + entry.name.removesuffix(".py"))
            elif deep and entry.is_dir() and entry.name.isidentifier() and entry.name != "__pycache__":
                found |= _below((entry.path,), f"{prefix}{entry.name}.") | {f"{prefix}{entry.name}"}
    return found


def spoken(module_globals: dict[str, Any]) -> str:
    """The module's name, also where it runs as a script: then it is called as an import would call it."""
    name = str(module_globals.get("__name__") or "")
    if name != "__main__":
        return name
    spec = module_globals.get("__spec__")
    if spec is not None and spec.name:
        return str(spec.name)
    file = module_globals.get("__file__")
    return Path(file).stem if file else name

"""The files of this repository, parsed once, for the tests of the house. It judges nothing."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tidemill"


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git has or would take; outside a clone, every file of the folders we ship."""
    asked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        return tuple(path for line in asked.stdout.splitlines() if (path := ROOT / line).is_file())
    return tuple(path for name in ("src", "tests", "docs", "examples") for path in (ROOT / name).rglob("*") if path.is_file())


def python_files(*folders: str) -> list[Path]:
    """The Python files below these folders of the root."""
    wanted = [ROOT / folder for folder in folders]
    return [path for path in tracked() if path.suffix == ".py" and any(path.is_relative_to(folder) for folder in wanted)]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def called(node: ast.Call) -> str:
    """The dotted name of what is called, as written: `time.sleep`."""
    return ast.unparse(node.func)


@cache
def spelled(path: Path) -> dict[str, str]:
    """What each imported name of a file stands for: {"now": "time.time"} after `from time import time as now`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {
                alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0] for alias in node.names
            }
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call of a file with the full name of what it calls, whatever it was imported as."""
    names = spelled(path)
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            first, dot, rest = called(node).partition(".")
            yield names.get(first, first) + dot + rest, node


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the package, imported. Migrations are scripts of Alembic's, which it alone can run."""
    package = importlib.import_module("tidemill")
    names = [found.name for found in pkgutil.walk_packages(package.__path__, "tidemill.")]
    return tuple(importlib.import_module(name) for name in names if ".migrations" not in name and not name.endswith("__main__"))

"""Things stay small enough to read."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from source import PACKAGE, ROOT, functions, place, python_files

OURS = ("src", "tests", "examples", "bench", "docs")


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_400_lines() -> None:
    assert not {str(path.relative_to(ROOT)): n for path in python_files(*OURS) if (n := lines(path)) > 400}


def test_no_function_is_longer_than_70_lines() -> None:
    assert not {
        place(path, function.lineno): f"{function.name}: {n}"
        for path in python_files("src")
        for function in functions(path)
        if (n := (function.end_lineno or 0) - function.lineno + 1) > 70
    }


def test_no_room_is_longer_than_2000_lines() -> None:
    rooms = Counter[str]()
    for path in python_files("src"):
        if path.parent != PACKAGE:
            rooms[str(path.parent.relative_to(PACKAGE))] += lines(path)
    assert not {room: n for room, n in rooms.items() if n > 2000}


def test_no_function_takes_more_than_six_positional_parameters() -> None:
    def positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
        return len(names) - (names[:1] in (["self"], ["cls"]))

    assert not {
        place(path, function.lineno): f"{function.name}: {n}"
        for path in python_files("src")
        for function in functions(path)
        if (n := positional(function)) > 6
    }


def test_nothing_is_named_by_nothing() -> None:
    empty = {"utils", "util", "common", "core", "base", "manager", "helper", "helpers", "misc"}
    assert not [str(path.relative_to(ROOT)) for path in python_files("src", "tests") if {path.stem, *path.relative_to(ROOT).parts} & empty]


def test_every_module_opens_by_saying_what_it_does() -> None:
    silent = [
        str(path.relative_to(ROOT)) for path in python_files("src") if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent

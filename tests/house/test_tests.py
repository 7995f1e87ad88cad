"""Tests are deterministic and touch the real thing."""

from __future__ import annotations

import ast
import re

from source import ROOT, calls, place, python_files, spelled, tracked

# Spelled in two halves, so that this file does not name them.
HOSTS = [
    "files.python" + "hosted",
    "pypi." + "org",
    "registry." + "npmjs",
    "deb." + "debian",
    "/work/" + "main",
    "/work/" + "shared",
    "/ro" + "ot/",
    "/home" + "/",
]


def seconds(node: ast.Call) -> float:
    """How long a sleep is; unknown counts as one second."""
    value = node.args[0] if node.args else None
    return float(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, int | float) else 1.0


def test_no_test_waits_by_sleeping() -> None:
    """`sleep(0)` yields, and a body made to be killed may hang for 30 seconds or more; all between is a guess at how fast we are."""
    assert not [
        place(path, node.lineno)
        for path in python_files("tests")
        for name, node in calls(path)
        if name in ("time.sleep", "asyncio.sleep") and 0 < seconds(node) < 30
    ]


def test_no_test_mocks() -> None:
    mocked = [str(path) for path in python_files("tests") if any("mock" in name.lower() for name in spelled(path).values())]
    patched = [
        place(path, node.lineno)
        for path in python_files("tests")
        for name, node in calls(path)
        if name in ("monkeypatch.setattr", "mocker.patch")
    ]
    assert not mocked + patched


def test_no_file_names_a_registry_or_somebodys_folder() -> None:
    found = []
    for path in tracked():
        if path.suffix in {".png", ".svg", ".parquet", ".csv", ".sqlite", ".ico", ".woff2"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {host}" for host in HOSTS if re.search(rf"(?<![\w.]){re.escape(host)}", text)]
    assert not found

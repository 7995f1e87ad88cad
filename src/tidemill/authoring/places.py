"""Places in the user's code, "file.py:12", for error messages. Knows frames and code objects, nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["here", "place_of"]

_PACKAGE = __file__.rpartition("authoring")[0]  # without pathlib, which costs an import


def here() -> str:
    """The line of user code that led to this call: the nearest frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def place_of(function: Callable[..., Any]) -> str:
    """Where `function` is defined, or its module when it has no Python source (a builtin)."""
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is None:
        return str(getattr(function, "__module__", None) or "builtins")
    return f"{code.co_filename}:{code.co_firstlineno}"

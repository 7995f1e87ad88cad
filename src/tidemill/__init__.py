"""Tidemill: plain Python functions become durable, explained, typed pipelines.

Names are loaded when they are first used, so that `import tidemill` costs next to nothing. This file knows where each
public name lives, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill._version import __version__

if TYPE_CHECKING:
    from tidemill.authoring.assets.asset import Asset as Asset
    from tidemill.authoring.assets.asset import asset as asset
    from tidemill.authoring.assets.observation import Observation as Observation
    from tidemill.authoring.assets.same import approx as approx
    from tidemill.authoring.assets.sources import source as source
    from tidemill.authoring.blocks import setup as setup
    from tidemill.authoring.blocks import when as when
    from tidemill.authoring.context import run as run
    from tidemill.authoring.dynamic import Submitted as Submitted
    from tidemill.authoring.dynamic.failures import TaskFailed as TaskFailed
    from tidemill.authoring.flow import Flow as Flow
    from tidemill.authoring.flow import flow as flow
    from tidemill.authoring.resources.resource import Resource as Resource
    from tidemill.authoring.resources.secret import secret as secret
    from tidemill.authoring.task import Task as Task
    from tidemill.authoring.task import task as task
    from tidemill.errors import Problem as Problem
    from tidemill.graph.policy import Backoff as Backoff
    from tidemill.graph.policy import Timeout as Timeout
    from tidemill.project.project import Project as Project
    from tidemill.project.result import RunResult as RunResult
    from tidemill.quality.check import check as check

_HOMES = {
    "Asset": "tidemill.authoring.assets.asset",
    "Backoff": "tidemill.graph.policy",
    "Flow": "tidemill.authoring.flow",
    "Observation": "tidemill.authoring.assets.observation",
    "Problem": "tidemill.errors",
    "Project": "tidemill.project.project",
    "Resource": "tidemill.authoring.resources.resource",
    "RunResult": "tidemill.project.result",
    "Submitted": "tidemill.authoring.dynamic",
    "Task": "tidemill.authoring.task",
    "TaskFailed": "tidemill.authoring.dynamic.failures",
    "Timeout": "tidemill.graph.policy",
    "approx": "tidemill.authoring.assets.same",
    "asset": "tidemill.authoring.assets.asset",
    "check": "tidemill.quality.check",
    "flow": "tidemill.authoring.flow",
    "run": "tidemill.authoring.context",
    "secret": "tidemill.authoring.resources.secret",
    "setup": "tidemill.authoring.blocks",
    "source": "tidemill.authoring.assets.sources",
    "task": "tidemill.authoring.task",
    "when": "tidemill.authoring.blocks",
}

__all__ = [
    "Asset",
    "Backoff",
    "Flow",
    "Observation",
    "Problem",
    "Project",
    "Resource",
    "RunResult",
    "Submitted",
    "Task",
    "TaskFailed",
    "Timeout",
    "__version__",
    "approx",
    "asset",
    "check",
    "flow",
    "run",
    "secret",
    "setup",
    "source",
    "task",
    "when",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tidemill' has no attribute {name!r}")
    import importlib  # lazily, as everything here

    found = getattr(importlib.import_module(home), name)
    globals()[name] = found  # the next access does not come here
    return found


def __dir__() -> list[str]:
    return __all__

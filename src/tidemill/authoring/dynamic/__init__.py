"""Flows whose body itself is run: by a driver on the engine, or as plain Python. Knows the seam to the engine, no engine."""

from tidemill.authoring.dynamic.driver import Session, Submitted, run_driver, submit
from tidemill.authoring.dynamic.failures import TaskFailed, error_of

__all__ = ["Session", "Submitted", "TaskFailed", "error_of", "run_driver", "submit"]

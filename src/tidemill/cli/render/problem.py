"""A problem as text: what, why, where and the mend. No traceback of ours."""

from __future__ import annotations

from tidemill.cli.render.words import Style
from tidemill.errors import Problem

__all__ = ["problem_text"]


def problem_text(problem: Problem, style: Style) -> str:
    """What happened, why, and how to mend it, one line each."""
    report = problem.report()
    lines = [f"{style.paint('error', 'failed')}[{report.code}]: {report.what}"]
    lines += [f"  {line}" for line in report.why.splitlines()]
    lines += [f"  at {report.where}"] if report.where else []
    lines += [f"  {style.bold(line)}" for line in report.mend.splitlines()]
    return "\n".join(lines)

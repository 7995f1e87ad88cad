"""What can be wrong with written tasks and flows. Each error names the place and what to write instead."""

from __future__ import annotations

from tidemill.authoring.places import here
from tidemill.errors import Problem

__all__ = ["BadCall", "BadDefinition", "CannotShip", "DuplicateName", "ForeignResult", "LazyResult", "TypeMismatch"]


class BadDefinition(Problem):
    """A task or flow that cannot be what it says."""

    code = "bad-definition"


class BadCall(Problem):
    """A call whose arguments do not fit the function."""

    code = "bad-call"

    def __init__(self, what: str, *, signature: str, defined: str, mend: str = "") -> None:
        super().__init__(what, why=f"It is defined as {signature} in {defined}.", mend=mend, where=here())


class LazyResult(Problem):
    """The result of a task was used as if it were there already, while its flow is only being built."""

    code = "lazy-result"

    def __init__(self, what: str, *, task: str, flow: str, mend: str) -> None:
        super().__init__(
            what,
            why=f"While the flow {flow!r} is built no task has run: the result of {task!r} is a reference to what it will return.",
            mend=mend,
            where=here(),
        )


class ForeignResult(Problem):
    """A reference that left the flow in which it was made."""

    code = "foreign-result"


class TypeMismatch(Problem):
    """A task returns something that the next one does not take."""

    code = "type-mismatch"


class CannotShip(Problem):
    """A function that no other process can find or be given."""

    code = "cannot-ship"


class DuplicateName(Problem):
    """Two definitions with one name."""

    code = "duplicate-name"

    def __init__(self, kind: str, name: str, *, first: str, second: str, mend: str = "") -> None:
        super().__init__(
            f"Two {kind}s are named {name!r}.",
            why=f"One is in {first}, the other in {second}.",
            mend=mend or "Rename one of them: a name must lead to one thing.",
        )

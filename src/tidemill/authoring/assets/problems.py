"""What can be wrong with assets: an input that nothing provides, a version that is not there yet, a result that does not fit."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.errors import Problem, nearest

__all__ = ["NotBuilt", "UnknownInput", "WrongResult"]


class UnknownInput(Problem):
    """A parameter of an asset that nothing of its name can fill."""

    code = "unknown-input"

    def __init__(self, asset: str, parameter: str, *, known: Iterable[str], where: str) -> None:
        guess = nearest(parameter, known)
        super().__init__(
            f"The asset {asset!r} takes {parameter!r}, and there is no asset, source or resource of that name.",
            why="A parameter is filled by its name; a run parameter has a default, or a plain type such as int, str or date.",
            mend=f"Did you mean {guess!r}?" if guess else f'Define it, or say which asset is meant: inputs={{"{parameter}": "…"}}.',
            where=where,
        )


class NotBuilt(Problem):
    """An asset is to be read and has no version yet."""

    code = "not-built"

    def __init__(self, names: Iterable[str], *, reader: str) -> None:
        listed = sorted(names)
        what = f"{listed[0]!r} has" if len(listed) == 1 else f"{', '.join(map(repr, listed))} have"
        super().__init__(
            f"{what} no version yet, and {reader} reads {'it' if len(listed) == 1 else 'them'}.",
            why="What is read must have been built or observed before, or be built in the same run.",
            mend=f"Build {'it' if len(listed) == 1 else 'them'} first: tidemill run {' '.join(f'+{name}' for name in listed)}",
        )


class WrongResult(Problem):
    """An asset or source returned something that it did not declare."""

    code = "wrong-result"

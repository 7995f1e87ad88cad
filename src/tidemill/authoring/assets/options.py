"""The words of `@asset(...)` that are not a task's: read into plain values. Knows no function and no graph."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidemill.authoring.assets.same import Approx
from tidemill.authoring.policies import OPTION_NAMES, Duration, TaskOptions
from tidemill.errors import BadSetting, Unknown
from tidemill.graph.durations import seconds

__all__ = ["AssetOptions", "AssetWords", "read", "valid_name"]

_NAME = re.compile(r"[\w-]+(?:/[\w-]+)*")
_LONGEST = 200


class AssetWords(TaskOptions, total=False):
    """Every keyword of `@asset(...)`: those of a task, and the asset's own."""

    inputs: Mapping[str, Any]
    outputs: Sequence[str] | None
    checks: Sequence[Any]
    owner: str
    group: str
    description: str
    same: Approx | None
    fresh: Duration | None


OWN_WORDS = frozenset({"inputs", "outputs", "checks", "owner", "group", "description", "same", "fresh"})
WORDS = OWN_WORDS | OPTION_NAMES - {"cache"}


class AssetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `@asset(...)` says besides how it runs. `outputs` None: as the return annotation says. `fresh` in seconds."""

    inputs: dict[str, str] = {}  # parameter → name of the asset
    outputs: tuple[str, ...] | None = None
    checks: tuple[Any, ...] = ()
    owner: str = ""
    group: str = ""
    description: str = ""
    same: Any = None
    fresh: float | None = None


def read(words: Mapping[str, Any]) -> tuple[AssetOptions, dict[str, Any]]:
    """The asset's own options, and the words for its task. Raises `Unknown` or `BadSetting`."""
    for word in words:
        if word == "cache":
            raise BadSetting(
                "An asset says cache=.",
                why="The result of an asset is always kept, and used again until something that it was computed from changes.",
                mend='Leave it out. For a result that holds for some time only: fresh="2d".',
            )
        if word not in WORDS:
            raise Unknown("asset option", word, known=WORDS)
    own = {word: _READERS[word](value) for word, value in words.items() if word in OWN_WORDS}
    return AssetOptions(**own), {word: value for word, value in words.items() if word not in OWN_WORDS}


def valid_name(name: str) -> bool:
    """Whether an asset can be called so."""
    return _NAME.fullmatch(name) is not None and len(name) <= _LONGEST


def _inputs(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping) and all(isinstance(one, str) for one in value):
        names: dict[str, Any] = {parameter: getattr(upstream, "name", upstream) for parameter, upstream in value.items()}
        if all(isinstance(name, str) and valid_name(name) for name in names.values()):
            return names
    raise BadSetting(f"inputs={value!r:.100} does not say which asset each parameter reads.", mend='Write: inputs={"o": "shop/orders"}.')


def _outputs(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, str) and isinstance(value, Sequence):
        names = tuple(value)
        if all(isinstance(name, str) and valid_name(name) for name in names) and len(set(names)) == len(names):
            return names
    raise BadSetting(f"outputs={value!r:.100} are not names of assets.", mend='Write: outputs=["train", "test"]. Each is there once.')


def _checks(value: Any) -> tuple[Any, ...]:
    several = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for one in several:
        if not callable(getattr(one, "run", None)) or not isinstance(getattr(one, "name", None), str):
            raise BadSetting(
                f"checks= has {one!r:.60}, which is not a check.",
                why="A check is made by `check`: check.unique(…), check.rows(…), or a function with @check(asset).",
                mend='Write, for example: checks=[check.unique("id"), check.rows(min=1)].',
            )
    return several


def _text(word: str) -> Any:
    def text(value: Any) -> str:
        if not isinstance(value, str):
            raise BadSetting(f"{word}={value!r:.60} is not text.")
        return value

    return text


def _same(value: Any) -> Any:
    if value is None or isinstance(value, Approx):
        return value
    raise BadSetting(f"same={value!r:.60} does not say when two results are the same.", mend="Write: same=approx(1e-9).")


_READERS: dict[str, Any] = {
    "inputs": _inputs,
    "outputs": _outputs,
    "checks": _checks,
    "owner": _text("owner"),
    "group": _text("group"),
    "description": _text("description"),
    "same": _same,
    "fresh": lambda value: None if value is None else seconds(value, name="fresh"),
}

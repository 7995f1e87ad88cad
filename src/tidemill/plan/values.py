"""The words of a plan: what is defined, what is known, what is decided. Plain values that survive JSON."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class State(StrEnum):
    """What would become of an asset."""

    OK = "ok"  # what is shown was computed from exactly this
    LINK = "link"  # the result is there already, from elsewhere or before: only a pointer moves
    RUN = "run"  # it would be computed
    MAYBE = "maybe"  # it would be computed if something before it comes out differently
    WAIT = "wait"  # data that it needs is not complete
    HELD = "held"  # somebody froze it
    BLOCKED = "blocked"  # something it needs has no version and would not get one


class Defined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One asset as the code defines it. `inputs`: parameter → name of the asset; `parts`: all else that its key is made of."""

    name: str
    inputs: dict[str, str] = {}
    parts: dict[str, str] = {}
    source: bool = False  # it is observed, not computed: its version comes from outside
    held: str = ""  # why it is frozen
    waits: str = ""  # why its data is not complete
    forced: str = ""  # why it is to run whatever is known
    expires_after: float | None = None  # seconds for which a version holds


class Shown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an environment shows of an asset: the version, and the key that it was computed under."""

    version: str
    key: str = ""
    at: float = 0.0
    rejected: str = ""  # the version that somebody rolled back from


class Remembered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A result in the store: key → version, with the parts of the key."""

    version: str
    parts: dict[str, str] = {}
    gone: bool = False  # its bytes are missing


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an asset did before. `changed` of `reruns` came out differently from the version before."""

    seconds: float | None = None  # median
    slow_seconds: float | None = None  # the slowest tenth begins here
    reruns: int = 0
    changed: int = 0


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows, as far as a plan needs it."""

    shown: dict[str, Shown] = {}
    memos: dict[str, Remembered] = {}
    history: dict[str, History] = {}
    now: float = 0.0


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would become of one asset. `because` is what people read, and what the decision was made of."""

    name: str
    state: State
    because: tuple[str, ...] = ()
    likely: float = 1.0  # that it would be computed
    seconds: float | None = None  # expected, if it is
    slow_seconds: float | None = None
    key: str = ""  # "" while an input is not known
    version: str = ""  # of OK and LINK
    parts: dict[str, str] = {}


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds of work: if nothing uncertain runs, as expected, and if all of it runs slowly. `unknown` have no history."""

    least: float = 0.0
    expected: float = 0.0
    most: float = 0.0
    unknown: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The decisions in an order in which each comes after its inputs, what they cost, and the longest path."""

    decisions: tuple[Decision, ...]
    cost: Cost
    critical: tuple[str, ...] = ()
    critical_seconds: float = 0.0

    def of(self, name: str) -> Decision:
        """The decision on one asset. Raises `KeyError`."""
        for decision in self.decisions:
            if decision.name == name:
                return decision
        raise KeyError(name)

    @property
    def to_run(self) -> tuple[Decision, ...]:
        """What is computed, or may be."""
        return tuple(one for one in self.decisions if one.state in (State.RUN, State.MAYBE))

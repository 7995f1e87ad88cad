"""The simulator is worth something only if it finds bugs: each of these is put in by hand, and found within a few hundred worlds."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from simulation.checks import check, same_end
from simulation.world import Parts, World
from tidemill.engine.engine import Engine
from tidemill.graph.work import Done
from tidemill.machine import effects as fx
from tidemill.store.memory import MemoryStore
from tidemill.testing.faults import SteppedJournal
from tidemill.testing.loop import Stuck

WITHIN = 300  # worlds


class AcceptsStaleReports(Engine):
    """Whatever attempt a report tells of, it is taken for the one that runs now."""

    def _on_done(self, report: Done, now: float) -> None:
        driven, path = self._of(report.job)
        place = driven.run.places.get(path) if driven else None
        if place is not None:
            outcomes = [replace(one, attempt=place.units[one.n].attempt) for one in report.outcomes if one.n < len(place.units)]
            report = Done(report.job, outcomes)
        super()._on_done(report, now)


class LosesEffectsOnRecovery(Engine):
    """After a recovery, what is ready is not launched again."""

    def _do(self, driven, effect) -> None:
        recovered = driven.run.begun_at is not None and driven.row.recoveries > 0 and not driven.jobs
        if not (recovered and isinstance(effect, fx.MakeReady)):
            super()._do(driven, effect)


class RepliesBeforeTheCommit(SteppedJournal):
    """Those who wait for the record are told before it is there."""

    def add(self, commit, *, durable=False, then=None) -> None:
        super().add(commit, durable=durable)
        if then is not None:
            then()


class FreesTwice(Engine):
    """Each end of an attempt gives back two slots."""

    def _freed(self, driven, path, count) -> None:
        super()._freed(driven, path, count)
        super()._freed(driven, path, count)


class NeverChecksTheEpoch(MemoryStore):
    """Writes of an engine that was replaced are added to the log as well."""

    def commit(self, commits, *, durable):
        for commit in commits:
            commit.epoch = self.run(commit.run).epoch
            last = len(list(self.events(commit.run)))
            commit.events = [replace(entry, n=last + at) for at, entry in enumerate(commit.events, 1)]
        return super().commit(commits, durable=durable)


class TearsCommits(MemoryStore):
    """The log is written, and the tables that are its index are not, when a commit is large."""

    def commit(self, commits, *, durable):
        torn = [replace(commit, tasks=commit.tasks[:1]) for commit in commits]
        return super().commit(torn, durable=durable)


class ForgetsToSync(SteppedJournal):
    """What is promised is not made durable first."""

    def add(self, commit, *, durable=False, then=None) -> None:
        super().add(commit, durable=False, then=then)


@pytest.mark.parametrize(
    ("bug", "parts"),
    [
        ("a stale report is accepted", Parts(engine=AcceptsStaleReports)),
        ("effects are lost on recovery", Parts(engine=LosesEffectsOnRecovery)),
        ("a reply comes before its commit", Parts(journal=RepliesBeforeTheCommit)),
        ("slots are given back twice", Parts(engine=FreesTwice)),
        ("the epoch is not checked", Parts(store=NeverChecksTheEpoch)),
        ("a commit is torn", Parts(store=TearsCommits)),
        ("a promise is not durable", Parts(journal=ForgetsToSync)),
    ],
    ids=lambda given: given.replace(" ", "-") if isinstance(given, str) else "",
)
def test_a_planted_bug_is_found(bug: str, parts: Parts) -> None:
    assert first_broken(lambda seed: World(seed, parts=parts)) < WITHIN, bug


def test_without_a_planted_bug_nothing_is_found_there() -> None:
    assert first_broken(World, within=30) == 30


def first_broken(world: Callable[[int], World], within: int = WITHIN) -> int:
    """The first seed whose world breaks a promise; `within` when none does."""
    for seed in range(within):
        try:
            one = world(seed).live()
            check(one)
            same_end(one)
        except (Exception, Stuck):
            return seed
    return within


def test_a_world_is_the_same_whenever_it_is_made() -> None:
    def story(seed: int) -> list[tuple[str, float, bytes]]:
        world = World(seed).live()
        return [(entry.kind, entry.at, entry.body) for entry in world.disk.store.events(world.run)]

    assert [story(seed) for seed in range(20)] == [story(seed) for seed in range(20)]

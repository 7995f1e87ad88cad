"""What holds for every graph and every order of events, looked for by hypothesis."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.graphs import outcome, random_graph
from tidemill.graph.work import Failure, Question
from tidemill.machine import advance
from tidemill.machine import events as ev
from tidemill.machine.apply import apply
from tidemill.machine.run import Run
from tidemill.machine.states import TASK_ENDS
from tidemill.testing.executor import answered, data
from tidemill.testing.graphs import call
from tidemill.testing.play import Play, dump

SEEDS = st.integers(0, 10**9)


class Fate:
    """Lets anything happen to a run, in any order, until it has ended."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.play = Play(random_graph(self.chance))
        self.snapshots: list[tuple[int, dict]] = []
        self.ended: dict[tuple[str, int], object] = {}

    def run(self) -> Play:
        play, chance = self.play.begin(), self.chance
        self.look()
        for turn in range(3000):
            if play.over:
                return play
            running = self.running()
            calm = turn > 600  # from here on nothing bad happens, so that there is an end
            acts = [act for act, can in ((self.launch, play.ready), (self.end, running), (self.answer, play.asked)) if can]
            if not calm:
                acts += [self.repeat] + ([self.give_back] if running else [])
                if chance.random() < 0.01:
                    acts = [self.cancel]
            if acts and chance.random() < 0.9:
                chance.choice(acts)()
            else:
                play.wait(chance.choice([0.0, 1.0, 400.0]))
            self.look()
        raise AssertionError(f"it did not end: {play.states()}")

    def running(self) -> list[tuple[str, int]]:
        return [(path, n) for path, place in self.play.run.places.items() for n, unit in enumerate(place.units) if unit.state == "running"]

    def launch(self) -> None:
        path, n = self.chance.choice(self.play.ready)
        place = self.play.run.places[path]
        if place.role != "teardown":
            assert all(one.ended for one in place.upstream), f"{path} starts before what it waits for"
        self.play.launch(path, n)
        if place.role == "driver" and self.chance.random() < 0.7:
            self.play.call(path, call(f"{path}/x-{self.chance.randint(0, 2)}"))

    def end(self) -> None:
        path, n = self.chance.choice(self.running())
        node = self.play.run.places[path].node
        result = outcome(node.task.qualname, n, {}, self.chance.randint(0, 3))
        if self.chance.random() < 0.15:
            result = Failure(self.chance.choice(["lost", "cancelled", "timeout", "memory"]))
        self.play.end(path, n, result)

    def repeat(self) -> None:
        path = self.chance.choice([*self.play.run.places])
        place = self.play.run.places[path]
        n = self.chance.randint(0, len(place.units))
        current = n < len(place.units) and place.units[n].state == "running"
        attempt = self.chance.randint(0, 3)
        if not (current and place.units[n].attempt == attempt):
            assert not self.play.end(path, n, Failure("error"), attempt=attempt).events

    def give_back(self) -> None:
        path, n = self.chance.choice(self.running())
        self.play.take(advance.returned(self.play.run, path, [(n, self.play.unit(path, n).attempt)], self.play.now))

    def answer(self) -> None:
        ask = self.play.asked[self.chance.choice([*self.play.asked])]
        said = answered(Question(id="", want=ask.want, of=ask.of))
        self.play.answer(ask.place, truths=said.truths, lengths=said.lengths, keys=said.keys, failure=said.failure)

    def cancel(self) -> None:
        self.play.cancel()
        self.play.stopped() if self.chance.random() < 0.5 else None

    def look(self) -> None:
        for path, place in self.play.run.places.items():
            for n, unit in enumerate(place.units):
                known = self.ended.get((path, n))
                if known is not None:
                    assert (unit.state, unit.handle) == known, f"{path}[{n}] changed after its end"
                elif unit.state in TASK_ENDS:
                    self.ended[path, n] = unit.state, unit.handle
        self.snapshots.append((len(self.play.log), dump(self.play.run)))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SEEDS)
def test_whatever_happens_every_run_ends_once_and_its_log_is_its_state_at_every_moment(seed: int) -> None:
    fate = Fate(seed)
    play = fate.run()
    assert sum(isinstance(event, ev.Finished) for event in play.log) == 1
    assert isinstance(play.log[-1], ev.Finished)
    assert all(place.ended for place in play.run.places.values())
    assert play.run.body_open == play.run.hooks_open == 0
    read, at = Run("r1", play.graph), 0
    for length, seen in fate.snapshots:
        for event in play.log[at:length]:
            apply(read, event)
        at = length
        assert dump(read) == seen


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SEEDS, st.floats(0, 1))
def test_a_run_can_be_taken_up_from_any_beginning_of_its_log(seed: int, share: float) -> None:
    play = Fate(seed).run()
    other = play.recovered(int(share * len(play.log)))
    for _ in range(300):
        if other.over:
            break
        for path in [*other.asked]:
            ask = other.asked[path]
            values = [data(expr) for expr in ask.of]
            if ask.want == "truth":
                other.answer(path, truths=tuple(bool(value) for value in values))
            else:
                keys = tuple(tuple(value) if isinstance(value, dict) else None for value in values)
                other.answer(path, lengths=tuple(len(value) for value in values), keys=keys)
        other.finish(lambda path, n, _: outcome(other.run.places[path].node.task.qualname, n, {}, 9))
    assert other.over, other.states()

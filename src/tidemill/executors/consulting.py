"""What only the project's own process can say: graphs of flows, lists of definitions, answers about values.

Knows the builder, a worker that runs no task; nothing of attempts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from tidemill.authoring.assets.entries import AssetEntry
from tidemill.errors import BadSetting, Problem
from tidemill.executors import ends
from tidemill.executors.frames import frame
from tidemill.executors.links.worker import WorkerLink
from tidemill.executors.protocol import Ask, Build, BuildAssets, Built, Describe, Described, Exited, List, Listed
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Handle
from tidemill.graph.work import Answer, Failure, Question


class Consulting:
    """Questions that were asked and not answered yet. `make` gives a new builder, or None while there is nobody to make it."""

    def __init__(self, make: Callable[[], WorkerLink | None], report: Callable[[Answer], None]) -> None:
        self.link: WorkerLink | None = None
        self._make = make
        self._report = report
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._asked: dict[str, tuple[Question, int]] = {}  # with how often a builder ended over it
        self._next = 0

    # ------------------------------------------------------------ asking

    async def build(self, flow: str | None, raw: Mapping[str, object], shown: Mapping[str, Handle], *, within: float) -> tuple[Graph, str]:
        """See `ports.Loader.build`."""
        built: Built = await self._consult(lambda number: Build(number, flow, dict(raw), dict(shown)), within)
        if built.problem is not None:
            raise Problem.of(built.problem)
        assert built.graph is not None
        return built.graph, built.place

    async def build_assets(
        self,
        targets: Collection[str],
        shown: Mapping[str, Handle],
        forced: Mapping[str, str],
        params: Mapping[str, object],
        *,
        within: float,
    ) -> Graph:
        """The graph that makes the targets. Raises `Problem`."""
        order = (list(targets), dict(shown), dict(forced), dict(params))
        built: Built = await self._consult(lambda number: BuildAssets(number, *order), within)
        if built.problem is not None:
            raise Problem.of(built.problem)
        assert built.graph is not None
        return built.graph

    async def catalog(self, params: Mapping[str, object], *, within: float) -> list[AssetEntry]:
        """Every asset and source. Raises `Problem`."""
        listed: Listed = await self._consult(lambda number: List(number, dict(params)), within)
        if listed.problem is not None:
            raise Problem.of(listed.problem)
        return listed.entries

    async def describe(self, *, within: float) -> dict[str, Any]:
        """What the project defines. Raises `Problem`."""
        told: Described = await self._consult(Describe, within)
        if told.problem is not None:
            raise Problem.of(told.problem)
        return told.definitions

    def ask(self, question: Question) -> None:
        """Have it answered, by this builder or the next."""
        self._asked.setdefault(question.id, (question, 0))
        link = self._builder()
        if link is not None:
            link.send(frame(Ask(question)))

    async def _consult(self, message: Callable[[int], msgspec.Struct], within: float) -> Any:
        self._next += 1
        number = self._next
        try:
            data = frame(message(number))
        except TypeError as error:
            raise BadSetting("A parameter of the run cannot be handed to the project's process.", why=str(error)) from error
        link = self._builder()
        if link is None:
            raise ends.NoWorker("there is no process to build the graph in")
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        link.send(data)
        try:
            # The time of the import is not the builder's.
            await link.by.ready()
            return await asyncio.wait_for(future, within)
        except TimeoutError:
            link.by.kill(link.id, 0.0)
            raise ends.BuildTimeout(within) from None
        finally:
            self._waiting.pop(number, None)

    def _builder(self) -> WorkerLink | None:
        if self.link is None or self.link.closed or self.link.retired:
            self.link = self._make()
        return self.link

    # ------------------------------------------------------------ hearing

    def heard(self, message: Built | Described | Listed) -> None:
        """An answer to a question about the project."""
        future = self._waiting.get(message.id)
        if future is not None and not future.done():
            future.set_result(message)

    def answered(self, answer: Answer) -> None:
        """An answer to `ask`: passed on once."""
        if self._asked.pop(answer.id, None) is not None:
            self._report(answer)

    def ended(self, exited: Exited) -> None:
        """The builder is gone: what it was building fails, and questions are asked once more."""
        self.link = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ends.BuilderEnded(exited))
        for name, (question, tries) in list(self._asked.items()):
            if tries:
                self.answered(Answer(id=name, failure=Failure(cause="lost", message="the process that read the values ended twice")))
            else:
                self._asked[name] = (question, 1)
                self.ask(question)

    def ask_again(self) -> None:
        """There is somebody to ask again."""
        for question, _ in list(self._asked.values()):
            self.ask(question)

    def refuse(self, problem: Problem) -> None:
        """Nothing will ever be answered."""
        for name in list(self._asked):
            self.answered(Answer(id=name, failure=ends.not_loaded(problem)))

    def cancel(self) -> None:
        """Nobody waits any more."""
        for future in self._waiting.values():
            future.cancel()

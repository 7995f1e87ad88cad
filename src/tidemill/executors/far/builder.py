"""A worker that builds graphs and answers questions about values, one after another. Knows flows; runs no task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tidemill.authoring.assets.entries import AssetEntry
from tidemill.errors import Problem, ProblemReport
from tidemill.executors.far.attempts import Toolbox
from tidemill.executors.far.failing import failure_of
from tidemill.executors.far.problems import user_frames
from tidemill.executors.frames import Wire
from tidemill.executors.protocol import Ask, Build, BuildAssets, Built, Describe, Described, List, Listed, Told, ToWorker
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Handle
from tidemill.graph.work import Answer, Question


class Definer(Protocol):
    """What a project can be asked."""

    def build(self, name: str | None, raw: Mapping[str, Any], shown: Mapping[str, Handle], tools: Toolbox) -> tuple[Graph, str]:
        """The graph of a flow, and where it is defined."""

    def build_assets(self, order: BuildAssets, tools: Toolbox) -> Graph:
        """The graph that makes assets."""

    def catalog(self, params: Mapping[str, Any]) -> list[AssetEntry]:
        """Every asset and source."""

    def describe(self) -> dict[str, Any]:
        """What the project defines."""


class FlowFailed(Problem):
    """A flow whose own code raises while its graph is built."""

    code = "flow-failed"

    def __init__(self, flow: str | None, error: BaseException) -> None:
        frames = user_frames(error)
        super().__init__(
            f"The flow {flow or ''!r} raised {type(error).__name__}: {error}"
            if flow
            else f"The flow raised {type(error).__name__}: {error}",
            why="A flow is called once, with the run's parameters, to build its graph; its body failed in that call.",
            mend="Mend the body of the flow. What needs the results of tasks belongs into a task.",
            where=f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "",
        )


class Builder:
    """Serves until its socket is closed."""

    def __init__(self, wire: Wire[ToWorker], tools: Toolbox, project: Definer) -> None:
        self._wire = wire
        self._tools = tools
        self._project = project

    def serve(self) -> None:
        """Answer what is asked. Returns when nothing more will be."""
        while (message := self._wire.receive()) is not None:
            if isinstance(message, (Build, BuildAssets)):
                self._wire.send(self._built(message))
            elif isinstance(message, List):
                self._wire.send(self._listed(message))
            elif isinstance(message, Ask):
                self._wire.send(Told(self._answer(message.question)))
            elif isinstance(message, Describe):
                self._wire.send(self._described(message))

    def _built(self, order: Build | BuildAssets) -> Built:
        try:
            if isinstance(order, BuildAssets):
                return Built(order.id, self._project.build_assets(order, self._tools))
            graph, place = self._project.build(order.flow, order.raw, order.shown, self._tools)
        except BaseException as error:  # noqa: BLE001 - whatever the flow raises, exit() too, is told and ends nothing
            return Built(order.id, problem=self._report(error, order.flow if isinstance(order, Build) else None))
        return Built(order.id, graph, place)

    def _listed(self, order: List) -> Listed:
        try:
            return Listed(order.id, self._project.catalog(order.params))
        except Exception as error:  # noqa: BLE001 - as above
            return Listed(order.id, problem=self._report(error, None))

    def _described(self, order: Describe) -> Described:
        try:
            return Described(order.id, self._project.describe())
        except Exception as error:  # noqa: BLE001 - as above
            return Described(order.id, problem=self._report(error, None))

    def _report(self, error: BaseException, flow: str | None) -> ProblemReport:
        problem = error if isinstance(error, Problem) else FlowFailed(flow, error)
        told, mask = problem.report(), self._tools.masker.text
        return ProblemReport(told.code, mask(told.what), mask(told.why), mask(told.mend), told.where)

    def _answer(self, question: Question) -> Answer:
        try:
            values = [self._tools.value(expr) for expr in question.of]
        except Exception as error:  # noqa: BLE001 - a value that cannot be read
            return Answer(id=question.id, failure=failure_of(error, "input", mask=self._tools.masker.text))
        try:
            if question.want == "truth":
                return Answer(id=question.id, truths=tuple(bool(value) for value in values))
            keys = tuple(tuple(map(str, value)) if isinstance(value, Mapping) else None for value in values)
            return Answer(id=question.id, lengths=tuple(len(value) for value in values), keys=keys)
        except Exception as error:  # noqa: BLE001 - e.g. a data frame has no truth
            return Answer(id=question.id, failure=failure_of(error, "error", mask=self._tools.masker.text))

"""Nodes and groups while their flow is being built: as in `graph.nodes`, but not yet final. Knows nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from tidemill.graph.nodes import Group, Node, Role, TaskRef, When
from tidemill.graph.policy import Policy
from tidemill.graph.values import Expr, Ref, refs

__all__ = ["Draft", "GroupDraft"]


class Draft:
    """A node that may still be ordered, conditioned or made a setup."""

    __slots__ = (
        "after", "args", "calls_with", "group", "guards", "hook", "key", "over", "policy", "resources", "returns", "role",
        "scope", "setup", "task", "when",
    )  # fmt: skip

    def __init__(
        self, key: str, task: TaskRef, args: dict[str, Expr], *, over: tuple[str, ...], when: tuple[When, ...], group: str, policy: Policy
    ) -> None:
        self.key, self.task, self.args, self.over = key, task, args, over
        self.when, self.group, self.policy = when, group, policy
        self.after: dict[str, None] = {}
        self.scope = ""  # the innermost mapped group around it
        self.role: Role = "task"
        self.setup = self.hook = self.returns = ""
        self.guards: tuple[str, ...] = ()
        self.resources: tuple[str, ...] = ()
        self.calls_with: Literal["keywords", "bind"] = "keywords"

    def reads(self) -> Iterator[Ref]:
        for expr in self.args.values():
            yield from refs(expr)

    def node(self) -> Node:
        return Node(
            key=self.key, task=self.task, args=self.args, over=self.over, after=tuple(self.after), when=self.when,
            group=self.group, policy=self.policy, role=self.role, setup=self.setup, guards=self.guards, hook=self.hook,
            resources=self.resources, returns=self.returns, calls_with=self.calls_with,
        )  # fmt: skip


class GroupDraft:
    """A group that may still be ordered."""

    __slots__ = ("after", "flow", "key", "output", "over", "parent", "when")

    def __init__(self, key: str, flow: str, parent: str, *, over: dict[str, Expr] | None = None, when: tuple[When, ...] = ()) -> None:
        self.key, self.flow, self.parent = key, flow, parent
        self.over = over or {}
        self.when = when
        self.after: dict[str, None] = {}
        self.output: Expr | None = None

    def reads(self) -> Iterator[Ref]:
        for expr in self.over.values():
            yield from refs(expr)

    def group(self) -> Group:
        return Group(
            key=self.key, flow=self.flow, parent=self.parent, over=self.over, when=self.when, after=tuple(self.after), output=self.output
        )

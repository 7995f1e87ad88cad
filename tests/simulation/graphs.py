"""Random graphs of every kind of node. What a task does is in its name, so that a graph alone says how its run must end."""

from random import Random

from tidemill.graph.nodes import Graph, Group, Node, When
from tidemill.graph.policy import RUN_IF_WORDS, Backoff, Policy, Timeout
from tidemill.graph.values import Handle, Item, Ref
from tidemill.graph.work import Failure
from tidemill.testing.graphs import call, flow, value

POOLS = {"api": 1, "db": 2}
FAR = 5000.0  # seconds: a limit that is never reached


def random_graph(chance: Random) -> Graph:
    return _Making(chance).graph()


class _Making:
    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.parts: list[Node | Group] = []
        self.values: list[str] = []  # keys that may be read
        self.lists: list[str] = []
        self.truths: list[str] = []
        self.most_once = chance.random() < 0.15
        self.limits = chance.random() < 0.15

    def graph(self) -> Graph:
        chance = self.chance
        for _ in range(chance.randint(1, 9)):
            self.some(f"n{len(self.parts)}")
        if chance.random() < 0.25:
            self.parts.append(call("failed", role="on_failure", hook="h", policy=self.policy(rule=False)))
        if chance.random() < 0.25:
            self.parts.append(call("exit", role="on_exit", hook="h", policy=self.policy(rule=False)))
        return flow(
            *self.parts,
            output=Ref(chance.choice(self.values)) if self.values and chance.random() < 0.8 else None,
            fail_fast=chance.random() < 0.1,
            max_active=chance.choice([None, None, None, 1, 2]),
            timeout=FAR if chance.random() < 0.1 else None,
        )

    def some(self, key: str) -> None:
        made = self.chance.choices(
            [self.plain, self.source, self.truth, self.mapped, self.group, self.setup, self.driver], [5, 3, 2, 3, 2, 1, 1]
        )[0]
        made(key)

    # ---------------------------------------------------------------- kinds

    def plain(self, key: str) -> None:
        chance = self.chance
        task = chance.choices(["value", "fails", "flaky-1", "flaky-2", "list-2"], [6, 1, 1, 1, 1])[0]
        policy = self.policy(retries=3 if task.startswith("flaky") else None)
        args = self.read(chance.randint(0, 3))
        after = (chance.choice(self.values),) if self.values and chance.random() < 0.15 else ()
        when = ()
        if self.truths and chance.random() < 0.4:
            when = tuple(When(Ref(chance.choice(self.truths)), chance.random() < 0.6) for _ in range(chance.randint(1, 2)))
        self.add(call(key, *args, task=task, policy=policy, after=after, when=when))

    def source(self, key: str) -> None:
        size = self.chance.choice([0, 1, 2, 3, 5])
        kind = self.chance.choice(["list", "dict", "list?", "dict?"])
        self.add(call(key, *self.read(self.chance.randint(0, 1)), task=f"{kind}-{size}", policy=self.policy()))
        self.lists.append(key)

    def truth(self, key: str) -> None:
        self.add(call(key, task=self.chance.choice(["true", "false", "true?", "false?"])))
        self.truths.append(key)

    def mapped(self, key: str) -> None:
        if not self.lists:
            return self.source(key)
        task = self.chance.choices(["value", "fails-some", "flaky-1", "list-2"], [5, 1, 1, 2])[0]
        over = Ref(self.chance.choice(self.lists))
        self.add(call(key, over, *self.read(1), task=task, over=("a",), policy=self.policy(retries=3 if task[:5] == "flaky" else None)))
        if task.startswith("list") or self.chance.random() < 0.3:
            self.lists.append(key)
        return None

    def group(self, key: str) -> None:
        if not self.lists:
            return self.source(key)
        over = {"x": Ref(self.chance.choice(self.lists))}
        inner, last = f"{key}.first", f"{key}.last"
        group = Group(key=key, flow="inner", over=over, output=Ref(last))
        nodes: list[Node | Group] = [
            group,
            call(inner, Item(key, (), "x"), group=key, task=self.chance.choice(["value", "list-2", "fails-some"])),
        ]
        seen = Ref(inner)
        if self.chance.random() < 0.5:
            deep = f"{key}.deep"
            nodes.append(call(f"{key}.items", group=key, task="list-2"))
            nodes.append(Group(key=deep, flow="deep", parent=key, over={"y": Ref(f"{key}.items")}, output=Ref(f"{deep}.leaf")))
            nodes.append(call(f"{deep}.leaf", Item(deep, (), "y"), Item(key, (), "x"), Ref(inner), group=deep, policy=self.policy()))
            seen = Ref(deep)
        nodes.append(call(last, seen, *self.read(1), group=key, policy=self.policy()))
        self.parts += nodes
        self.values.append(key)
        self.lists.append(key)
        return None

    def setup(self, key: str) -> None:
        first, work, last = f"{key}s", f"{key}w", f"{key}t"
        self.add(call(first, role="setup", task=self.chance.choice(["value", "value", "fails"])))
        self.add(
            call(work, Ref(first), *self.read(1), task=self.chance.choice(["value", "fails", "flaky-1"]), policy=self.policy(retries=2))
        )
        self.parts.append(call(last, Ref(first), role="teardown", setup=first, guards=(work,), policy=self.policy(rule=False)))

    def driver(self, key: str) -> None:
        self.add(
            call(
                key, *self.read(1), role="driver", task=f"driver-{self.chance.randint(0, 99)}", policy=Policy(executor="thread", retries=1)
            )
        )

    # ---------------------------------------------------------------- pieces

    def add(self, node: Node) -> None:
        self.parts.append(node)
        self.values.append(node.key)

    def read(self, most: int) -> list[Ref]:
        return [Ref(self.chance.choice(self.values)) for _ in range(min(most, len(self.values)))]

    def policy(self, *, retries: int | None = None, rule: bool = True) -> Policy:
        chance = self.chance
        once = self.most_once and chance.random() < 0.5
        backoff = chance.choice([Backoff(), Backoff("exponential"), Backoff("list", waits=(0.5, 2.0))])
        return Policy(
            retries=0 if once else chance.choice([0, 0, 1]) if retries is None else retries,
            backoff=backoff,
            pool=chance.choice([None, None, None, "api", "db"]),
            priority=chance.choice([0, 0, 5]),
            executor=chance.choice(["process", "process", "thread"]),
            cpus=chance.choice([1.0, 1.0, 1.0, 1.0, 2.0, 4.0]),
            run_if=chance.choice(RUN_IF_WORDS) if rule and chance.random() < 0.25 else "all_succeeded",
            at_most_once=once,
            cache=-1.0 if chance.random() < 0.1 and not once else None,
            timeout=Timeout(*(chance.choice([None, 2.0, FAR]) for _ in range(3))) if self.limits and chance.random() < 0.3 else Timeout(),
        )


# ---------------------------------------------------------------- what tasks do


def outcome(task: str, n: int, arguments: dict[str, object], executed: int) -> Handle | Failure:
    """How execution number `executed` (from 0) of a task ends."""
    name, _, count = task.partition("-")
    kind, shaped = name.rstrip("?"), not name.endswith("?")
    if name == "fails" and (not count or n % 3 == 1):
        return Failure("error", "it always does", "builtins.ValueError", ("builtins.ValueError", "builtins.Exception"))
    if name == "flaky" and executed < int(count):
        return Failure("error", f"time {executed}")
    if kind == "list":
        return value([f"{n}.{at}" for at in range(int(count))], shaped=shaped)
    if kind == "dict":
        return value({f"k{at}": at for at in range(int(count))}, shaped=shaped)
    if kind in ("true", "false"):
        return value(kind == "true", shaped=shaped)
    arguments.pop("h", None)  # what a hook is told tells of times
    return value(f"{task}({','.join(map(str, sorted(arguments.items())))})"[:200])


def is_steady(graph: Graph) -> bool:
    """Whether its run must end the same way whatever becomes of its attempts."""
    return not graph.fail_fast and not any(node.policy.at_most_once or node.policy.timeout != Timeout() for node in graph.nodes)

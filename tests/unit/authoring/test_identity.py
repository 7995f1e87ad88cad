"""How another process finds a task, and what its fingerprint is of."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import cloudpickle
import pytest

from tidemill import Problem, flow, task
from tidemill.authoring.building import build
from tidemill.authoring.definitions import scan
from tidemill.authoring.identity import fingerprint, load
from tidemill.graph.values import Handle
from unit.authoring import user_tasks
from unit.authoring.user_tasks import double, quadruple


class Kept:
    def __init__(self) -> None:
        self.values: list[object] = []

    def __call__(self, value: object) -> Handle:
        self.values.append(value)
        return Handle(codec="any", digest=str(len(self.values) - 1), size=0)


def loaded(made: str, name: str = "made_module") -> ModuleType:
    """A module from source, with its source found by `inspect`."""
    import linecache

    module = ModuleType(name)
    file = f"<{name}>"
    linecache.cache[file] = (len(made), None, made.splitlines(keepends=True), file)
    exec(compile(made, file, "exec"), module.__dict__)
    return module


def of(source: str) -> str:
    return fingerprint(loaded(source).f)


def test_a_task_of_a_module_travels_by_name() -> None:
    kept = Kept()
    ref = build(quadruple, {"n": 1}, keep=kept).graph.nodes[0].task
    assert (ref.module, ref.qualname, ref.code) == ("unit.authoring.user_tasks", "double", None)
    assert load(ref.module, ref.qualname) is double
    assert pickle.loads(pickle.dumps(double)) is double
    assert pickle.loads(pickle.dumps(quadruple)) is quadruple


def test_a_closure_travels_as_code() -> None:
    factor = 3

    @task(retries=2)
    def scaled(x: int) -> int:
        return x * factor

    @flow
    def local() -> int:
        return scaled(2)

    kept = Kept()
    ref = build(local, keep=kept).graph.nodes[0].task
    assert ref.code is not None
    found = load("no", "matter", kept.values[int(ref.code.digest)])  # type: ignore[arg-type]
    assert found.function(2) == 6
    assert found.policy.retries == 2


def test_a_lambda_is_a_task_too() -> None:
    half = task(lambda x: x / 2)

    @flow
    def local() -> float:
        return half(3)  # type: ignore[no-any-return]

    kept = Kept()
    node = build(local, keep=kept).graph.nodes[0]
    assert (node.key, node.task.qualname) == ("lambda", "test_a_lambda_is_a_task_too.<locals>.<lambda>")
    assert load("", "", kept.values[int(node.task.code.digest)]).function(3) == 1.5  # type: ignore[union-attr, arg-type]


def test_functions_made_in_a_loop_are_told_apart() -> None:
    def make(n: int):
        @task
        def made() -> int:
            return n

        return made

    @flow
    def local() -> list[int]:
        return [make(n)() for n in range(3)]

    built = build(local)
    assert len(built.functions) == 3
    assert [built.functions[node.task.name]() for node in built.graph.nodes] == [0, 1, 2]


def test_a_backoff_function_given_for_one_call_travels_with_it() -> None:
    @flow
    def local() -> None:
        double(1)
        double.options(retries=1, backoff=lambda attempt, error: attempt * 2.0)(1)
        double.options(retries=1)(1)

    kept = Kept()
    refs = [node.task for node in build(local, keep=kept).graph.nodes]
    assert [ref.code is not None for ref in refs] == [False, True, False]
    assert refs[0].name != refs[1].name
    assert load("", "", kept.values[int(refs[1].code.digest)]).backoff(3, OSError()) == 6.0  # type: ignore[union-attr, arg-type]


def test_what_cannot_be_pickled_says_how_to_write_it() -> None:
    lock = threading.Lock()

    @task
    def locked() -> None:
        with lock:
            pass

    @flow
    def local() -> None:
        locked()

    with pytest.raises(Problem, match=r"(?s)cannot be given to another process.*cannot be pickled.*top level of a module.*") as caught:
        build(local, keep=Kept())
    assert "test_identity.py:" in caught.value.where
    assert build(local).graph.nodes  # in memory it need not travel


def test_a_name_that_is_gone_is_told() -> None:
    with pytest.raises(Problem, match=r"(?s)unit.authoring.user_tasks:gone is not there.*made conditionally"):
        load("unit.authoring.user_tasks", "gone")


def test_tasks_of_main_travel_as_code(tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(
        "from tidemill import task, flow\n"
        "from tidemill.authoring.building import build\n"
        "from tidemill.graph.values import Handle\n"
        "from tidemill.authoring.identity import load\n"
        "@task\ndef one() -> int:\n    return 1\n"
        "@flow\ndef f() -> int:\n    return one()\n"
        "kept = []\n"
        "def keep(value):\n    kept.append(value)\n    return Handle(codec='x', digest=str(len(kept) - 1), size=0)\n"
        "node = build(f, keep=keep).graph.nodes[0]\n"
        "print(node.task.name, load('', '', kept[int(node.task.code.digest)]).function())\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("__main__:one 1\n", "")


BASE = 'def f(x, y=1):\n    """Say."""\n    return x + y\n'


@pytest.mark.parametrize(
    "same",
    [
        "def f(x, y=1):\n    return x + y\n",
        'def f(x, y=1):\n    # why\n    """Other words."""\n\n    return (x +\n        y)\n',
        "\n\n\ndef f(x, y = 1): return x + y\n",
        "from tidemill import task\n@task(retries=3)\ndef f(x, y=1):\n    return x + y\n",
        "if True:\n    def f(x, y=1):\n        return x + y\n",
    ],
)
def test_comments_docstrings_places_and_policies_do_not_count(same: str) -> None:
    module = loaded(same)
    assert fingerprint(getattr(module.f, "function", module.f)) == of(BASE)


@pytest.mark.parametrize(
    "other",
    [
        "def f(x, y=2):\n    return x + y\n",
        "def f(x, y=1):\n    return x - y\n",
        "def f(x, y=True):\n    return x + y\n",
        "def f(x, y=1.0):\n    return x + y\n",
        "def f(x, y='1'):\n    return x + y\n",
        "def f(x, *, y=1):\n    return x + y\n",
        "async def f(x, y=1):\n    return x + y\n",
        "def d(g): return g\n@d\ndef f(x, y=1):\n    return x + y\n",
    ],
)
def test_what_changes_the_result_counts(other: str) -> None:
    assert of(other) != of(BASE)


def test_the_fingerprint_is_the_same_on_every_python() -> None:
    # Written down from Python 3.11: another value on another version would recompute everything after an upgrade.
    assert (
        of("def f(x: int, *a, k=None) -> str:\n    return f'{x!r:>3}' + str([y for y in a if y])\n") == "b131dac56bb24bddba7ef471686f5f3e"
    )


def test_values_that_a_closure_holds_count() -> None:
    def make(n: object):
        def f() -> object:
            return n

        return f

    assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))
    assert fingerprint(make(1)) != fingerprint(make("1"))


def test_functions_without_source_have_a_fingerprint_of_their_bytecode() -> None:
    one, two = eval("lambda x: x + 1"), eval("lambda x: x + 2")
    assert fingerprint(one) == fingerprint(eval("lambda x: x + 1")) != fingerprint(two)
    assert fingerprint(len) != fingerprint(max)


def test_the_version_is_what_the_user_says_or_the_fingerprint() -> None:
    @task(cache=True)
    def cached() -> None: ...

    @task(version="3")
    def stated() -> None: ...

    @flow
    def local() -> None:
        cached()
        stated()
        double(1)

    assert [node.task.version for node in build(local).graph.nodes] == [cached.version, "3", ""]
    assert len(cached.version) == 32


def test_scanning_finds_flows_tasks_and_their_places() -> None:
    found = scan([user_tasks, sys.modules[__name__]])
    assert [one.name for one in found.flows] == ["quadruple"]
    (only,) = found.flows
    assert (only.module, only.qualname, only.signature) == ("unit.authoring.user_tasks", "quadruple", "quadruple(n: 'int') -> 'int'")
    assert only.file.endswith("user_tasks.py")
    assert only.line == quadruple.function.__code__.co_firstlineno
    assert "unit.authoring.user_tasks:double" in found.task_objects
    assert found.flow() is found.flow("quadruple") is found.flow("unit.authoring.user_tasks:quadruple") is quadruple
    assert list(found.schema("quadruple")["properties"]) == ["n"]


def test_two_flows_of_one_name_show_both_places() -> None:
    one = loaded("from tidemill import flow\n@flow\ndef load(): ...\n", "one")
    two = loaded("from tidemill import flow\n\n@flow\ndef load(): ...\n", "two")
    with pytest.raises(Problem, match=r"(?s)Two flows are named 'load'.*<one>:2.*<two>:3"):
        scan([one, two])


def test_asking_for_a_flow_that_is_not_one_tells_what_there_is() -> None:
    found = scan([user_tasks])
    with pytest.raises(Problem, match=r"(?s)There is no flow named 'quadrupel'.*Did you mean 'quadruple'"):
        found.flow("quadrupel")
    with pytest.raises(Problem, match=r"(?s)No flow was named.*define no flow.*Put @flow"):
        scan([]).flow()
    both = loaded("from tidemill import flow\n@flow\ndef a(): ...\n@flow\ndef b(): ...\n")
    with pytest.raises(Problem, match=r"(?s)not exactly one.*There are: a, b"):
        scan([both]).flow()


def test_cloudpickled_flows_come_back() -> None:
    @flow(max_active=2)
    def local(n: int) -> int:
        return double(n)

    again = cloudpickle.loads(cloudpickle.dumps(local))
    assert (again.name, again.options.max_active) == ("local", 2)
    assert build(again, {"n": 1}).graph.nodes[0].key == "double"

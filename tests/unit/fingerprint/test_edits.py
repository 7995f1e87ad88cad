"""Over real code, the standard library's and ours: no edit that changes what a function can be seen to reach is missed."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import random
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from tests.unit.fingerprint import mutations as edits

from tidemill.fingerprint import CodePrints

MODULES = [
    "bisect", "calendar", "colorsys", "csv", "difflib", "fnmatch", "fractions", "graphlib", "heapq", "html", "json.decoder",
    "json.encoder", "keyword", "numbers", "quopri", "reprlib", "shlex", "statistics", "string", "textwrap", "tidemill.graph.durations",
    "tidemill.graph.sizes", "tidemill.authoring.identity", "tidemill.machine.retry", "tidemill.fingerprint.scopes",
]  # fmt: skip
EDITS = int(os.environ.get("TIDEMILL_EDITS", "8"))  # of each module; the whole corpus has tens of thousands


class Copy:
    """A module loaded from a copy of its text, which can be edited; the functions that it defines."""

    def __init__(self, folder: Path, name: str) -> None:
        self.text = ast.unparse(ast.parse(inspect.getsource(importlib.import_module(name))))
        self.name = f"copy_{name.replace('.', '_')}"
        self.package = name.rpartition(".")[0]
        self.path = folder / f"{self.name}.py"
        self.ticks = 0
        self.write(self.text)
        self.load()

    def load(self) -> None:
        """Import the text as it is now."""
        self.module = types.ModuleType(self.name)
        self.module.__file__ = str(self.path)
        self.module.__package__ = self.package
        sys.modules[self.name] = self.module
        exec(compile(self.path.read_text(), str(self.path), "exec"), vars(self.module))
        kinds = [one for one in vars(self.module).values() if isinstance(one, type) and one.__module__ == self.name]
        held = [*vars(self.module).values(), *(one for kind in kinds for one in vars(kind).values())]
        self.functions = [one for one in held if isinstance(one, types.FunctionType) and one.__globals__ is vars(self.module)]

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.ticks += 1
        os.utime(self.path, ns=(self.ticks * 10**9,) * 2)

    def print(self, function):
        return CodePrints(local=lambda name: name == self.name, versions=lambda _: "1").of(function)

    def part_at(self, line: int) -> str | None:
        """The name bound at the top of the module by the statement on that line."""
        for node in ast.parse(self.text).body:
            if node.lineno - len(getattr(node, "decorator_list", ())) <= line <= node.end_lineno:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    return f"{self.name}.{node.name}"
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    return f"{self.name}.{node.targets[0].id}"
        return None


@pytest.fixture(params=MODULES)
def source(request, tmp_path):
    made = Copy(tmp_path, request.param)
    yield made
    del sys.modules[made.name]


def test_an_edit_changes_every_function_that_reaches_it_and_no_other(source):
    before = {function: source.print(function) for function in source.functions}
    chance = random.Random(source.name)
    count = sum(1 for _ in edits.mutations(ast.parse(source.text)))
    tried, missed, needless = 0, [], []
    for which in chance.sample(range(count), min(EDITS, count)):
        mutation, text = edits.mutated(source.text, which)
        part = source.part_at(mutation.line)
        if part is None or text == source.text:
            continue
        reaching = [function for function, made in before.items() if part in made.parts]
        others = [function for function, made in before.items() if not any(one.startswith(part) for one in made.parts) and not made.notes]
        source.write(text)
        for function in chance.sample(reaching, min(3, len(reaching))):
            tried += 1
            same = source.print(function).digest == before[function].digest
            missed += [(function.__qualname__, mutation.kind, mutation.line)] if same else []
        for function in chance.sample(others, min(1, len(others))):
            same = source.print(function).digest == before[function].digest
            needless += [] if same else [(function.__qualname__, mutation.kind, mutation.line)]
    if report := os.environ.get("TIDEMILL_EDITS_REPORT"):
        with Path(report).open("a") as out:
            out.write(json.dumps([source.name, tried, missed, needless]) + "\n")
    assert tried or not source.functions
    assert not missed
    assert not needless


def test_an_edit_that_changes_nothing_changes_no_function(source):
    before = digests(source)
    for kind, text in edits.unchanged(source.text, random.Random(1)):
        source.write(text)
        source.load()
        after = digests(source)
        assert [name for name in before if before[name] != after[name]] == [], kind


def digests(source) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for function in source.functions:  # several may have one name
        found.setdefault(function.__code__.co_qualname, []).append(source.print(function).digest)
    return {name: sorted(found[name]) for name in found}


def test_every_function_that_the_bytecode_names_is_a_part(source):
    """An independent look: the names in code objects, followed through the module's globals."""
    for function in source.functions:
        made = source.print(function)
        for name in reached(function, source.module):
            assert f"{source.name}.{name}" in made.parts, function.__qualname__


def reached(function: types.FunctionType, module: types.ModuleType) -> set[str]:
    found, queue = set(), [function.__code__]
    while queue:
        code = queue.pop()
        queue += [one for one in code.co_consts if isinstance(one, types.CodeType)]
        for name in code.co_names:
            value = vars(module).get(name)
            if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and loads_global(code, name):
                own = value.__code__.co_qualname
                if own not in found and "<" not in own:
                    found.add(own)
                    queue.append(value.__code__)
    return found


def loads_global(code: types.CodeType, name: str) -> bool:
    import dis

    return any(one.opname in ("LOAD_GLOBAL", "LOAD_NAME") and one.argval == name for one in dis.get_instructions(code))


# ---------------------------------------------------------------- versions of Python

HASHES = """
import ast, hashlib, importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("canonical", sys.argv[1])
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
found = {}
for path in sorted(pathlib.Path(sys.argv[2]).rglob(sys.argv[3])):
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        continue
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            text = module.canonical(node).encode("utf-8", "surrogatepass")
            found[f"{path}:{node.lineno}:{node.name}"] = hashlib.sha256(text).hexdigest()[:16]
json.dump(found, sys.stdout)
"""


def interpreters() -> list[str]:
    """The Pythons of other versions on this machine that really start."""
    near = sorted(str(one) for one in Path(sys.base_prefix).parent.glob("*3.1[1-9]*/bin/python3.1?"))
    found = {}
    for command in [*near, *(shutil.which(f"python3.{minor}") for minor in range(11, 15))]:
        if command:
            asked = subprocess.run([command, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                found.setdefault(asked.stdout.strip(), command)
    found.pop(" ".join(map(str, sys.version_info[:2])), None)
    return sorted(found.values())


OTHERS = interpreters()


@pytest.mark.parametrize("command", OTHERS or [None], ids=[Path(one).name for one in OTHERS] or ["none"])
def test_the_text_of_code_is_the_same_on_every_version_of_python(command):
    if command is None:
        pytest.skip("there is one version of Python here")
    from tidemill.fingerprint import canonical

    library = Path(inspect.getsourcefile(json)).parents[1]
    pattern = os.environ.get("TIDEMILL_LIBRARY", "d*.py")
    arguments = [canonical.__file__, str(library), pattern]
    here, there = (
        json.loads(subprocess.run([python, "-c", HASHES, *arguments], capture_output=True, text=True, check=True).stdout)
        for python in (sys.executable, command)
    )
    both = here.keys() & there.keys()
    assert len(both) > 500
    assert [name for name in sorted(both) if here[name] != there[name]] == []
    if report := os.environ.get("TIDEMILL_EDITS_REPORT"):
        with Path(report).open("a") as out:
            out.write(f"{command}: {len(both)} definitions alike\n")

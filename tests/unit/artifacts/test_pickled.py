"""The last resort says that it was one; what cannot be stored at all is named, with the way to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from tidemill.artifacts import Artifacts
from tidemill.artifacts.problems import CannotRead, CannotStore
from tidemill.graph.values import Handle
from unit.artifacts.user_types import Opaque


def test_an_object_of_any_class_is_pickled_and_the_note_says_so(store: Artifacts) -> None:
    handle = store.keep({"o": Opaque([1])})
    assert store.load(handle) == {"o": Opaque([1])}
    assert handle.codec == "pickle"
    assert handle.note == "pickled, because it holds an Opaque: it can be read only where the same code and libraries are"
    assert handle.shape.keys == ("o",)


def test_functions_and_local_classes_are_pickled_by_value(store: Artifacts) -> None:
    factor = 3

    class Local:
        def times(self) -> int:
            return factor

    assert store.load(store.keep(lambda x: x * factor))(2) == 6
    assert store.load(store.keep(Local())).times() == 3


@pytest.mark.parametrize(
    ("make", "what", "mend"),
    [
        (lambda _: (at for at in range(3)), "A builtins.generator cannot be stored.", "Return list(…) of it."),
        (
            lambda sock: {"rows": [1, {"db": sock}]},
            "A socket.socket at result['rows'][1]['db'] cannot be stored.",
            "Return the data, and open connections",
        ),
        (lambda sock: Opaque([sock]), "A socket.socket at result.value[0] cannot be stored.", "Return the data, and open connections"),
        (lambda sock: lambda: sock, "A socket.socket at result → sock cannot be stored.", "Return the data, and open connections"),
        (lambda _: [threading.Lock()], "A _thread.lock at result[0] cannot be stored.", "Return the data without the lock."),
    ],
    ids=["generator", "in-dict", "in-object", "in-closure", "lock"],
)
def test_what_cannot_be_stored_is_named_with_the_way_to_it(store: Artifacts, tmp_path: Path, make, what: str, mend: str) -> None:
    with socket.socket() as sock, pytest.raises(CannotStore) as caught:
        store.keep(make(sock))
    assert caught.value.what == what
    assert caught.value.why.startswith("It cannot be pickled: ")
    assert caught.value.mend.startswith(mend)
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def test_the_problem_tells_what_the_task_had_declared(store: Artifacts) -> None:
    with pytest.raises(CannotStore, match=r"The task says that it returns list\[int\]\."):
        store.keep((at for at in range(3)), declared="list[int]")


def test_an_object_nested_too_deep_is_a_problem_and_no_crash(store: Artifacts) -> None:
    chain = Opaque(None)
    for _ in range(100_000):
        chain = Opaque(chain)
    with pytest.raises(CannotStore, match="nested too deep"):
        store.keep(chain)
    while chain is not None:  # let go of it link by link: freeing the chain at once would recurse as well
        link, chain = chain, chain.value
        link.value = None


def test_a_pickle_whose_code_is_gone_is_a_problem_on_reading(store: Artifacts) -> None:
    data = b"cno_such_module\nThing\n."
    digest = blake3(data).hexdigest()
    with pytest.raises(CannotRead, match=r"A pickled shop\.Thing cannot be read here") as caught:
        store.load(Handle("pickle", digest, len(data), data=data, type="shop.Thing"))
    assert "No module named 'no_such_module'" in caught.value.why


def test_reading_without_the_library_names_what_to_install(store: Artifacts) -> None:
    import polars as pl

    handle = store.keep(pl.DataFrame({"a": [1]}))
    code = (
        "import sys; sys.modules['polars'] = None\n"
        "from tidemill.artifacts import Artifacts; from tidemill.artifacts.local import LocalFolder\n"
        "from tidemill.graph.values import Handle; from pathlib import Path; from tidemill.errors import Problem\n"
        f"try: Artifacts(LocalFolder(Path('unused'))).load(Handle('polars', {handle.digest!r}, {handle.size}, data={handle.data!r}))\n"
        "except Problem as problem: print(problem.report().code, problem)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ).stdout
    assert said.startswith("library-missing Reading this value needs Polars, which is not installed here.")
    assert "pip install 'tidemill[polars]'" in said

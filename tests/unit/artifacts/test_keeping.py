"""What a handle carries, what people may see of a value, and what is in the folder afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from tidemill.artifacts import Artifacts, open_location
from tidemill.artifacts.local import LocalFolder
from tidemill.artifacts.problems import BadDigest, Missing, NoSpace
from tidemill.errors import BadSetting, Corrupt
from tidemill.graph.values import INLINE_LIMIT, PREVIEW_LIMIT


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_small_value_is_in_its_handle_and_no_file_is_written(store: Artifacts, tmp_path: Path) -> None:
    handle = store.keep({"a": 1})
    assert (handle.data, handle.size, handle.type, handle.preview) == (b'{"a":1}', 7, "builtins.dict", '{"a":1}')
    assert not (tmp_path / "artifacts").exists()


def test_a_larger_value_is_a_file_under_its_digest_for_its_owner_only(store: Artifacts, tmp_path: Path) -> None:
    handle = store.keep("x" * INLINE_LIMIT)
    path = tmp_path / "artifacts" / handle.digest[:2] / handle.digest[2:]
    assert handle.data is None
    assert (path.stat().st_size, path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (INLINE_LIMIT + 2, 0o600, 0o700)
    assert files(tmp_path / "artifacts") == [path]
    assert store.load(handle) == "x" * INLINE_LIMIT


def test_secrets_are_masked_in_previews_schemas_and_notes_also_where_they_are_cut(tmp_path: Path) -> None:
    store = Artifacts(LocalFolder(tmp_path), mask=lambda text: text.replace("hunter2-and-more", "***"))
    assert store.keep({"password": "hunter2-and-more"}).preview == '{"password":"***"}'
    table = store.keep(pl.DataFrame({"hunter2-and-more": ["hunter2-and-more"]}))
    assert "hunter2" not in f"{table.preview}{table.schema}"
    cut = store.keep("x" * (PREVIEW_LIMIT - 8) + "hunter2-and-more" + "y" * 100)
    assert "hunter" not in cut.preview
    assert len(cut.preview) <= PREVIEW_LIMIT


def test_bytes_that_changed_on_the_disk_are_never_served(store: Artifacts, tmp_path: Path) -> None:
    handle = store.keep(list(range(5000)))
    path = store.location.local_path(handle.digest)
    damaged = bytearray(path.read_bytes())
    damaged[100] ^= 1
    path.write_bytes(damaged)
    for reader in (store, Artifacts(LocalFolder(tmp_path / "artifacts"))):
        with pytest.raises(Corrupt, match="is damaged"):
            reader.load(handle)


def test_keeping_a_value_again_heals_its_damaged_copy(store: Artifacts) -> None:
    handle = store.keep(list(range(5000)))
    store.location.local_path(handle.digest).write_bytes(b"?" * handle.size)
    assert store.keep(list(range(5000))) == handle
    assert store.load(handle) == list(range(5000))


def test_a_deleted_file_is_missing_by_name(store: Artifacts) -> None:
    handle = store.keep(list(range(5000)))
    store.location.local_path(handle.digest).unlink()
    with pytest.raises(Missing) as caught:
        store.load(handle)
    assert (caught.value.code, handle.digest[:12] in caught.value.what) == ("artifact-missing", True)
    assert "Run the task that made it again" in caught.value.mend


def test_a_key_that_is_no_digest_never_becomes_a_path(store: Artifacts) -> None:
    for key in ("../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 64 + ".tree/..", "é" * 64, ""):
        with pytest.raises(BadDigest, match="is not the digest of a stored value"):
            store.location.local_path(key)


def test_many_threads_keep_the_same_and_other_values_at_once(store: Artifacts, tmp_path: Path) -> None:
    start = threading.Barrier(8)
    kept: list[object] = []

    def work(at: int) -> None:
        start.wait()
        for turn in range(20):
            kept.append(store.keep([turn] * 5000) == store.keep([turn] * 5000))
            kept.append(store.load(store.keep([at, turn] * 3000)) == [at, turn] * 3000)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == [True] * 320
    assert len(files(tmp_path / "artifacts")) == 20 + 160
    assert files(tmp_path / "artifacts" / "drafts") == []


WRITER = """
import sys
from pathlib import Path
from tidemill.artifacts import Artifacts
from tidemill.artifacts.local import LocalFolder
store = Artifacts(LocalFolder(Path(sys.argv[1])))
for at in range(60):
    store.keep([at] * 5000)
print("done")
"""


def test_two_processes_keep_the_same_values_at_once(store: Artifacts, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "artifacts")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(3)]
    assert [writer.communicate()[0] for writer in writers] == ["done\n"] * 3
    assert [store.load(store.keep([at] * 5000)) for at in range(60)] == [[at] * 5000 for at in range(60)]
    assert len(files(tmp_path / "artifacts")) == 60


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy, pandas, polars, pyarrow
from tidemill.artifacts import Artifacts
from tidemill.artifacts.local import LocalFolder
from tidemill.errors import Problem
source = Path(sys.argv[1]) / "source.bin"
source.write_bytes(b"x" * 4_000_000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
store = Artifacts(LocalFolder(Path(sys.argv[1]) / "artifacts"))
many = numpy.arange(500_000)
values = [
    "x" * 2_000_000, many, polars.DataFrame({"a": many}), polars.LazyFrame({"a": many}), pandas.DataFrame({"a": many}),
    pyarrow.table({"a": many}), source, {"o": type("T", (), {})(), "x": "y" * 2_000_000},
]
for value in values:
    try:
        print("kept", store.keep(value))
    except Problem as problem:
        print(problem.code, problem.what.startswith("There is no room left for a value in "))
print(store.keep("small"*2000).size)
"""


def test_a_full_disk_is_a_problem_of_its_own_and_leaves_no_half_value(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, env=os.environ, check=False)
    assert said.stdout.splitlines() == ["no-space True"] * 8 + ["10002"], said.stderr
    assert [path.stat().st_size for path in files(tmp_path / "artifacts")] == [10002]


KILLED = """
import os, signal, sys
from pathlib import Path
from tidemill.artifacts import Artifacts
from tidemill.artifacts.local import LocalFolder
class Dies(LocalFolder):
    def put_file(self, key, draft):
        os.kill(os.getpid(), signal.SIGKILL)
Artifacts(Dies(Path(sys.argv[1]))).keep("x" * 100_000)
"""


def test_a_process_killed_before_the_rename_leaves_a_draft_and_no_value(store: Artifacts, tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "artifacts")], env=os.environ, check=False)
    assert said.returncode == -signal.SIGKILL
    assert [path.parent.name for path in files(tmp_path / "artifacts")] == ["drafts"]
    assert list(store.location.blobs()) == []
    assert store.load(store.keep("x" * 100_000)) == "x" * 100_000


def test_no_space_tells_where_and_how_to_make_room() -> None:
    problem = NoSpace("/data", "No space left on device")
    assert "`tidemill gc`" in problem.mend
    assert problem.why == "The system said: No space left on device. Nothing of the value was kept."


def test_a_url_that_no_package_knows_is_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="Artifacts cannot be kept at nonsense://user-is-not-shown/x"):
        open_location("nonsense://name:password@user-is-not-shown/x", cache=tmp_path, clock=lambda: None)

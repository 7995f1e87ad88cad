"""What every place for artifacts promises, asked of a local folder and of URLs of several kinds."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import polars as pl
import pytest
from blake3 import blake3

from tidemill.artifacts import Artifacts, Location, Swept, open_location, sweep
from tidemill.artifacts.location import TREE, check_key
from tidemill.artifacts.problems import BadDigest, Missing
from tidemill.artifacts.remote import REFRESH_AFTER
from tidemill.errors import Corrupt

GRACE = timedelta(days=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)  # after anything that a test puts now
BYTES = b"content " * 1000


class Place:
    """One location, and a way to reach behind it as a fault would."""

    def __init__(self, where: str, folder: Path) -> None:
        self.where, self.folder = where, folder
        self.now = datetime.now(UTC)
        self.opened = 0

    def open(self) -> Location:
        """The same place, as another machine sees it: with an empty cache, and nothing verified."""
        self.opened += 1
        return open_location(self.where, cache=self.folder / f"cache{self.opened}", clock=lambda: self.now)

    def replace(self, key: str, data: bytes | None) -> None:
        fs, root = fsspec.core.url_to_fs(self.where)
        path = f"{root.rstrip('/')}/{key[:2]}/{key[2:]}"
        if data is None:
            fs.rm_file(path)
        else:
            fs.pipe_file(path, data)

    def stored(self) -> int:
        return sum(1 for _ in self.open().blobs())


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    server = pytest.importorskip("moto.server", reason="moto is not installed: S3 is not tried here")
    pytest.importorskip("s3fs", reason="s3fs is not installed: S3 is not tried here")
    # The clients read these when they are made; a test run has no account of its own.
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    fsspec.filesystem("s3").mkdir("artifacts")
    yield "s3://artifacts"
    running.stop()


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path / "artifacts"), tmp_path)
    if request.param == "file":
        return Place(f"file://{tmp_path}/artifacts", tmp_path)
    if request.param == "memory":
        return Place(f"memory://{uuid.uuid4()}", tmp_path)
    return Place(f"{request.getfixturevalue('s3')}/{uuid.uuid4()}", tmp_path)


def key_of(data: bytes) -> str:
    return blake3(data).hexdigest()


def put(location: Location, data: bytes = BYTES) -> str:
    location.put_bytes(key_of(data), data)
    return key_of(data)


def test_what_was_put_is_read_by_another_machine(place: Place) -> None:
    key = put(place.open())
    assert place.open().local_path(key).read_bytes() == BYTES
    assert place.open().exists(key)


def test_a_file_is_put_and_its_draft_is_gone(place: Place) -> None:
    location = place.open()
    draft = location.draft()
    assert draft.stat().st_mode & 0o777 == 0o600
    draft.write_bytes(BYTES)
    location.put_file(key_of(BYTES), draft)
    assert not draft.exists()
    assert place.open().local_path(key_of(BYTES)).read_bytes() == BYTES


def test_putting_the_same_again_changes_nothing(place: Place) -> None:
    first, second = place.open(), place.open()
    assert put(first) == put(first) == put(second)
    assert [(blob.key, blob.size) for blob in first.blobs()] == [(key_of(BYTES), len(BYTES))]


def test_what_is_not_there_is_missing(place: Place) -> None:
    location = place.open()
    assert not location.exists("0" * 64)
    assert list(location.blobs()) == []
    with pytest.raises(Missing, match="The stored value 000000000000… is not there any more"):
        location.local_path("0" * 64)


def test_a_deleted_content_is_missing_and_can_be_put_again(place: Place) -> None:
    key = put(place.open())
    place.replace(key, None)
    with pytest.raises(Missing):
        place.open().local_path(key)
    put(place.open())
    assert place.open().local_path(key).read_bytes() == BYTES


@pytest.mark.parametrize("damage", [b"X" + BYTES[1:], BYTES[:-1], b""], ids=["a-byte", "cut", "empty"])
def test_damaged_content_is_never_served(place: Place, damage: bytes) -> None:
    key = put(place.open())
    place.replace(key, damage)
    with pytest.raises(Corrupt, match="is damaged"):
        place.open().local_path(key)
    assert list(place.folder.glob("cache*/drafts/*")) == []


def test_content_that_was_cut_short_is_healed_by_putting_it_again(place: Place) -> None:
    key = put(place.open())
    place.replace(key, BYTES[:100])
    put(place.open())
    assert place.open().local_path(key).read_bytes() == BYTES


@pytest.mark.parametrize("key", ["", "a" * 63, "G" * 64, "../" + "a" * 61, "a" * 64 + ".txt"])
def test_no_verb_takes_a_key_that_is_no_digest(place: Place, key: str) -> None:
    location = place.open()
    for verb in (
        location.exists,
        location.local_path,
        lambda key: location.put_bytes(key, b""),
        lambda key: location.delete_if_older(key, LATER),
    ):
        with pytest.raises(BadDigest):
            verb(key)


def test_two_writers_of_the_same_content_at_once_do_no_harm(place: Place) -> None:
    start, failed = threading.Barrier(4), []

    def write() -> None:
        location = place.open()
        start.wait()
        try:
            for at in range(5):
                put(location, BYTES + bytes([at]))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {blob.key for blob in place.open().blobs()} == {key_of(BYTES + bytes([at])) for at in range(5)}
    for at in range(5):
        assert place.open().local_path(key_of(BYTES + bytes([at]))).read_bytes() == BYTES + bytes([at])


def test_values_travel_through_it(place: Place, tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_text("file")
    values = [list(range(5000)), pl.DataFrame({"a": range(5000)}), pl.LazyFrame({"a": range(5000)}), {"file": tmp_path / "f.txt"}]
    store = Artifacts(place.open())
    handles = [store.keep(value) for value in values]
    numbers, frame, lazy, files = (Artifacts(place.open()).load(handle) for handle in handles)
    assert (numbers, frame.equals(values[1]), lazy.collect().height, files["file"].read_text()) == (values[0], True, 5000, "file")


def test_a_sweep_takes_what_nothing_names_and_is_older_than_the_grace_period(place: Place) -> None:
    location = place.open()
    named, unnamed = put(location, b"named" * 100), put(location, b"unnamed" * 100)
    before = sweep(location, [named], older_than=GRACE, now=place.now)
    assert before == Swept(0, 0)
    assert sweep(place.open(), {named}, older_than=GRACE, now=LATER, dry_run=True) == Swept(1, 700)
    assert place.open().exists(unnamed)
    after = place.open()
    assert sweep(after, iter([named]), older_than=GRACE, now=LATER) == Swept(1, 700)
    assert (after.exists(named), after.exists(unnamed)) == (True, False)


def test_a_sweep_keeps_the_files_of_a_tree_that_is_named_and_takes_them_with_it(place: Place, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one").write_text("1")
    (tmp_path / "data" / "two").write_text("2")
    handle = Artifacts(place.open()).keep(tmp_path / "data")
    assert {blob.key.endswith(TREE) for blob in place.open().blobs()} == {True, False}
    sweep(place.open(), [handle.digest], older_than=GRACE, now=LATER)
    assert sorted(path.name for path in Artifacts(place.open()).load(handle).iterdir()) == ["one", "two"]
    sweep(place.open(), [], older_than=GRACE, now=LATER)
    assert place.stored() == 0


def test_a_damaged_tree_does_not_stop_a_sweep(place: Place, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    handle = Artifacts(place.open()).keep(tmp_path / "one")
    place.replace(handle.digest + TREE, b"{")
    sweep(place.open(), [handle.digest], older_than=GRACE, now=LATER)
    assert [blob.key for blob in place.open().blobs()] == [handle.digest + TREE]


def test_a_sweep_takes_drafts_and_views_that_were_left_behind(place: Place, tmp_path: Path) -> None:
    location = place.open()
    (tmp_path / "one").write_text("1")
    store = Artifacts(location)
    handle = store.keep(tmp_path / "one")
    view = store.load(handle)
    left, young = location.draft(), location.draft()
    left.write_bytes(b"half")
    os.utime(left, (LONG_AGO.timestamp(),) * 2)
    assert sweep(location, [handle.digest], older_than=GRACE, now=place.now) == Swept(1, 4)
    assert (left.exists(), young.exists(), view.exists()) == (False, True, True)
    sweep(location, [handle.digest], older_than=GRACE, now=LATER)
    assert (young.exists(), view.exists(), store.load(handle).read_text()) == (False, False, "1")


def test_content_that_is_put_again_has_its_age_from_then(place: Place) -> None:
    key = put(place.open())
    [first] = place.open().blobs()
    place.now = first.modified + REFRESH_AFTER + timedelta(seconds=1)
    put(place.open())
    [again] = place.open().blobs()
    assert again.modified >= first.modified
    assert not place.open().delete_if_older(key, again.modified)
    assert place.open().delete_if_older(key, again.modified + timedelta(seconds=2))


def test_old_content_of_a_folder_that_is_put_again_is_young(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "artifacts"), tmp_path)
    key = put(place.open())
    os.utime(tmp_path / "artifacts" / key[:2] / key[2:], (LONG_AGO.timestamp(),) * 2)
    put(place.open())
    assert sweep(place.open(), [], older_than=GRACE, now=place.now) == Swept(0, 0)
    assert place.open().exists(key)


def test_a_key_is_a_digest_or_a_tree() -> None:
    assert [check_key(key) for key in ("0" * 64, "f" * 64 + TREE)] == ["0" * 64, "f" * 64 + TREE]

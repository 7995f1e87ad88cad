"""Files and folders by content: with their names, read-only, wherever in a value they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.artifacts import Artifacts
from tidemill.artifacts.codecs.files import view
from tidemill.artifacts.problems import CannotRead, CannotStore, Missing


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "a.csv").write_text("id\n1\n")
    (folder / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "sub" / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("sub/run.sh")
    return folder


def test_a_file_comes_back_with_its_name_and_bytes_after_the_original_is_gone(store: Artifacts, here: Path) -> None:
    handle = store.keep(here / "a.csv")
    (here / "a.csv").unlink()
    back = store.load(handle)
    assert (back.name, back.read_text(), back.stat().st_mode & 0o777) == ("a.csv", "id\n1\n", 0o400)
    assert (handle.codec, handle.preview) == ("files", "a.csv  5 bytes")


def test_a_folder_comes_back_whole(store: Artifacts, here: Path) -> None:
    back = store.load(store.keep(here))
    found = sorted(str(path.relative_to(back)) for path in back.rglob("*"))
    assert (back.name, found) == ("made", ["a.csv", "link", "sub", "sub/empty", "sub/run.sh"])
    assert (back / "link").readlink() == Path("sub/run.sh")
    assert os.access(back / "sub" / "run.sh", os.X_OK)


def test_the_same_folder_gives_the_same_digest(store: Artifacts, here: Path, tmp_path: Path) -> None:
    first = store.keep(here)
    here.rename(tmp_path / "other")
    (tmp_path / "other").rename(here)
    assert store.keep(here).digest == first.digest


def test_paths_inside_of_values_are_kept_by_content(store: Artifacts, here: Path) -> None:
    handle = store.keep({"files": [here / "a.csv"], "n": 1, "both": (here / "a.csv", here / "sub")})
    assert handle.preview == '{"files":["a.csv"],"n":1,"both":{"$":"tuple","v":["a.csv","sub"]}}'
    (here / "a.csv").unlink()
    back = store.load(handle)
    assert back["files"][0].read_text() == "id\n1\n"
    assert (back["both"][1] / "run.sh").exists()
    assert store.load_part(handle, (("item", "files"), ("item", 0))).name == "a.csv"


def test_a_path_where_nothing_is_stays_a_path(store: Artifacts, tmp_path: Path) -> None:
    for value in (tmp_path / "later.csv", [tmp_path / "later.csv"]):
        assert store.load(store.keep(value)) == value


def test_of_a_parameter_only_the_words_of_a_path_are_kept_if_asked(store: Artifacts, here: Path) -> None:
    for value in (here, [here / "a.csv", 1]):
        handle = store.keep(value, paths="name")
        assert (handle.codec, store.load(handle)) == ("json", value)


def test_a_copy_that_somebody_changed_is_made_anew(store: Artifacts, here: Path) -> None:
    handle = store.keep(here / "a.csv")
    back = store.load(handle)
    back.chmod(0o600)
    back.write_text("changed")
    assert store.load(handle).read_text() == "id\n1\n"


def test_a_file_of_a_folder_that_is_gone_from_the_store_is_missing(store: Artifacts, here: Path, tmp_path: Path) -> None:
    handle = store.keep(here)
    for path in (tmp_path / "artifacts").glob("??/*"):
        if not path.name.endswith(".tree"):
            path.unlink()
    with pytest.raises(Missing, match="is not there any more"):
        store.load(handle)
    assert list((tmp_path / "artifacts" / "views").iterdir()) == []


def test_what_is_no_file_and_links_that_lead_out_are_refused_by_name(store: Artifacts, here: Path) -> None:
    (here / "out").symlink_to("/etc")
    with pytest.raises(CannotStore, match="made/out cannot be stored") as caught:
        store.keep(here)
    assert "a link that leads out of the folder" in caught.value.why
    (here / "out").unlink()
    os.mkfifo(here / "pipe")
    with pytest.raises(CannotStore, match="made/pipe cannot be stored"):
        store.keep(here)


@pytest.mark.parametrize("at", ["../evil", "/etc/evil", "a/../../evil", ""])
def test_a_stored_folder_cannot_name_a_place_outside_of_itself(store: Artifacts, at: str) -> None:
    with pytest.raises(CannotRead, match="A stored folder names the place"):
        view({"$": "folder", "name": "f", "entries": [{"at": at}]}, store.location)
    with pytest.raises(CannotRead, match="A stored folder names the place"):
        view({"$": "folder", "name": at, "entries": []}, store.location)

"""Files and folders by content: a `pathlib.Path`, alone or inside lists, dicts and objects.

The value is a tree: tagged JSON that names the blobs of its files. It is read as paths of read-only copies that
have the original names. Knows no handle.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from blake3 import blake3

from tidemill.artifacts.codecs.form import Source, Written
from tidemill.artifacts.codecs.json import decode, encode, from_json, preview_of
from tidemill.artifacts.codecs.tagged import Tagger
from tidemill.artifacts.location import Location, check_key, digest_of
from tidemill.artifacts.problems import CannotRead, CannotStore, room_in

ENTRY_LIMIT = 100_000  # files and folders in one value
_LISTED = 20  # entries in a preview


class Files:
    """The codec "files"."""

    name = "files"
    version = 1

    def write(self, value: object, location: Location) -> Written:
        """See `Codec`."""
        shelf = _Shelf(location)
        tagged = Tagger(shelf.take).tag(value, 0)
        data = encode({"blobs": sorted(shelf.blobs), "value": tagged})
        files = sum(1 for entry in shelf.entries if "blob" in entry)
        listed = "\n".join(f"{entry['at']}  {entry['size']:,} bytes" for entry in shelf.entries[:_LISTED] if "blob" in entry)
        return Written(
            data=data,
            tree=True,
            preview=listed if isinstance(value, Path) else preview_of(encode(_without_entries(tagged))),
            schema=(("files", str(files)), ("bytes", str(sum(entry.get("size", 0) for entry in shelf.entries)))),
        )

    def read(self, source: Source) -> object:
        """See `Codec`. The copies are made once and shared; they are never written to."""

        def path_of(node: dict[str, Any]) -> Path:
            return view(node, source.location)

        tree = from_json(source.bytes(), {"file": path_of, "folder": path_of})
        assert isinstance(tree, dict)
        return tree["value"]


def blobs_in(tree: bytes) -> list[str]:
    """The keys of the blobs that the tree names. Nothing of its value is made."""
    return [check_key(key) for key in decode(tree)["blobs"]]


class _Shelf:
    """Stores the files of one value."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.blobs: set[str] = set()
        self.entries: list[dict[str, Any]] = []

    def take(self, path: Path) -> dict[str, Any] | None:
        """The tagged form of a path whose content was stored; None if nothing is there."""
        if not path.exists():
            return None
        before = len(self.entries)
        if not path.is_dir():
            self._file(path, path.name)
            return {"$": "file", "name": path.name, "entries": self.entries[before:]}
        for inner, at in _walk(path):
            if inner.is_symlink() and not _stays_inside(inner, path):
                raise _refused(inner, "it is a link that leads out of the folder")
            if inner.is_symlink():
                self._add({"at": at, "link": str(inner.readlink())})
            elif inner.is_dir():
                self._add({"at": at})
            else:
                self._file(inner, at)
        return {"$": "folder", "name": path.resolve().name or "folder", "entries": self.entries[before:]}

    def _file(self, path: Path, at: str) -> None:
        if not path.is_file():
            raise _refused(path, "it is neither a file nor a folder")
        draft = self.location.draft()
        try:
            with room_in(self.location.name):
                shutil.copyfile(path, draft)
            digest, size = digest_of(draft)  # of the copy: the original may change meanwhile
            self.location.put_file(digest, draft)
        finally:
            draft.unlink(missing_ok=True)
        self.blobs.add(digest)
        self._add({"at": at, "blob": digest, "size": size, **({"run": True} if path.stat().st_mode & 0o100 else {})})

    def _add(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)
        if len(self.entries) > ENTRY_LIMIT:
            raise CannotStore(
                f"The folder has more than {ENTRY_LIMIT:,} files.",
                why="Each file of a returned folder is stored by itself.",
                mend="Return a narrower folder, or one archive file.",
            )


def view(node: dict[str, Any], location: Location) -> Path:
    """A read-only local copy of a stored file or folder, under its name. Made once per content, verified in each process."""
    name = _safe(node["name"])
    home = location.views() / blake3(encode(node)).hexdigest()
    target = home / name
    if home.exists() and _whole(target, node):
        os.utime(home)  # a sweep takes views that nobody asked for lately
        return target
    with room_in(location.name):
        making, aside = Path(tempfile.mkdtemp(dir=location.views())), Path(tempfile.mkdtemp(dir=location.views()))
        try:
            _build(making / name, node, location)
            if home.exists():
                home.rename(aside)  # damaged
            making.rename(home)
        except OSError:
            if not _whole(target, node):  # else another process made the same meanwhile
                raise
        finally:
            remove(making)
            remove(aside)
    return target


def remove(path: Path) -> None:
    """Delete a draft, or a view with its read-only folders."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _build(target: Path, node: dict[str, Any], location: Location) -> None:
    if node["$"] == "folder":
        target.mkdir(mode=0o700)
    for entry in node["entries"]:
        place = target if node["$"] == "file" else target / _safe(entry["at"])
        if "blob" in entry:
            shutil.copyfile(location.local_path(entry["blob"]), place)
            place.chmod(0o500 if entry.get("run") else 0o400)
        elif "link" in entry:
            place.symlink_to(entry["link"])
        else:
            place.mkdir(mode=0o700)


_seen: dict[Path, tuple[tuple[int, int, int], str]] = {}  # files of views whose digest this process has computed


def _whole(target: Path, node: dict[str, Any]) -> bool:
    """Whether every file of the view still has the bytes it should have."""
    if len(_seen) > ENTRY_LIMIT:
        _seen.clear()
    try:
        for entry in node["entries"]:
            place = target if node["$"] == "file" else target / _safe(entry["at"])
            if "blob" not in entry:
                place.lstat()
                continue
            stat = place.lstat()
            state = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if _seen.get(place, (None, ""))[0] != state:
                _seen[place] = (state, digest_of(place)[0])
            if _seen[place][1] != entry["blob"]:
                return False
    except OSError:
        return False
    return True


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """All that is inside, parents first, in an order that does not depend on the disk, with relative names."""
    waiting = [(folder, "")]
    while waiting:
        here, prefix = waiting.pop()
        for inner in sorted(here.iterdir()):
            at = f"{prefix}{inner.name}"
            yield inner, at
            if inner.is_dir() and not inner.is_symlink():
                waiting.append((inner, f"{at}/"))


def _stays_inside(link: Path, folder: Path) -> bool:
    return not link.readlink().is_absolute() and link.resolve().is_relative_to(folder.resolve())


def _safe(at: str) -> str:
    """`at` itself, if it stays below the folder it is put in."""
    parts = PurePosixPath(at).parts
    if not parts or at.startswith("/") or ".." in parts or "\0" in at:
        raise CannotRead(
            f"A stored folder names the place {at!r}.",
            why="It would lie outside of the folder.",
            mend="Do not use this value: it was not written by Tidemill.",
        )
    return at


def _without_entries(node: Any) -> Any:
    """The value with each path as its name: what a preview shows."""
    if isinstance(node, list):
        return [_without_entries(item) for item in node]
    if isinstance(node, dict):
        if node.get("$") in ("file", "folder"):
            return node["name"]
        return {name: _without_entries(item) for name, item in node.items()}
    return node


def _refused(path: Path, because: str) -> CannotStore:
    return CannotStore(
        f"{path} cannot be stored.",
        why=f"Of a returned path the content is kept, but {because}.",
        mend="Return a file, or a folder of files.",
    )

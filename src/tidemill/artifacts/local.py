"""Artifacts in a local folder: written once (draft, fsync, rename), verified on the first read in each process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tidemill.artifacts.location import Blob, check_key, corrupt, digest_of
from tidemill.artifacts.problems import Missing, room_in

_DRAFTS = "drafts"
_VIEWS = "views"
_TRUSTED_LIMIT = 100_000  # files remembered as verified; beyond that they are hashed again


class LocalFolder:
    """`root/ab/cdef…`: one file per content. Files 0600, folders 0700."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.name = str(self.root)
        self._blobs_at = f"{self.name}/"
        self._trusted: dict[str, tuple[int, int, int]] = {}  # key → (inode, size, mtime) that were verified in this process
        self._made: set[Path] = set()

    def draft(self) -> Path:
        """See `Location`."""
        with room_in(self.name):
            handle, name = tempfile.mkstemp(dir=self._folder(self.root / _DRAFTS))
            os.close(handle)
        return Path(name)

    def put_file(self, key: str, draft: Path) -> None:
        """See `Location`."""
        try:
            with room_in(self.name):
                if self._refreshed(key):
                    return
                target = self._path(key)
                folder = self._folder(target.parent)
                with draft.open("rb+") as file:
                    os.fsync(file.fileno())
                draft.replace(target)
                _sync_folder(folder)
                self._trust(key, target.stat())
        finally:
            draft.unlink(missing_ok=True)

    def put_bytes(self, key: str, data: bytes) -> None:
        """See `Location`."""
        if self._refreshed(key):
            return
        draft = self.draft()
        try:
            with room_in(self.name):
                draft.write_bytes(data)
            self.put_file(key, draft)
        finally:
            draft.unlink(missing_ok=True)

    def local_path(self, key: str) -> Path:
        """See `Location`."""
        path = self._path(key)
        try:
            stat = path.stat()
            if not self._trusts(key, stat):
                found, _ = digest_of(path)
                if found != key[:64]:
                    raise corrupt(key, found, self.name)
                self._trust(key, stat)
        except FileNotFoundError:
            raise Missing(key, self.name) from None
        return path

    def exists(self, key: str) -> bool:
        """See `Location`."""
        return self._path(key).exists()

    def blobs(self) -> Iterator[Blob]:
        """See `Location`."""
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for path in folder.iterdir():
                key = folder.name + path.name
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # deleted by another sweep meanwhile
                yield Blob(check_key(key), stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def delete_if_older(self, key: str, than: datetime) -> bool:
        """See `Location`."""
        path = self._path(key)
        # Out of the way first, then the age is read again: a writer that finds the same content either renewed its
        # age before the move (then it is put back), or finds it gone and writes it anew. It is never lost.
        aside = self.draft()
        try:
            path.replace(aside)
        except FileNotFoundError:
            aside.unlink()
            return False
        if datetime.fromtimestamp(aside.stat().st_mtime, UTC) >= than:
            aside.replace(path)
            return False
        aside.unlink()
        self._trusted.pop(key, None)
        return True

    def views(self) -> Path:
        """See `Location`."""
        return self._folder(self.root / _VIEWS)

    def leftovers(self, than: datetime) -> Iterator[tuple[Path, int]]:
        """See `Location`."""
        for folder in (self.root / _DRAFTS, self.root / _VIEWS):
            for path in folder.iterdir() if folder.exists() else ():
                try:
                    if datetime.fromtimestamp(path.lstat().st_mtime, UTC) < than:
                        yield path, _size(path)
                except FileNotFoundError:
                    continue  # its writer finished meanwhile

    def _refreshed(self, key: str) -> bool:
        """Whether a whole content of `key` was there; its age starts anew. A damaged one does not count, so it is replaced."""
        path = self._path(key)
        try:
            stat = path.stat()
            if not self._trusts(key, stat) and digest_of(path)[0] != key[:64]:
                return False
            os.utime(path)
            self._trust(key, path.stat())
        except FileNotFoundError:
            return False
        return True

    def _path(self, key: str) -> Path:
        check_key(key)
        return Path(f"{self._blobs_at}{key[:2]}/{key[2:]}")

    def _folder(self, folder: Path) -> Path:
        # Making and syncing a folder once per process is enough, except that somebody may delete it under us.
        if folder not in self._made or not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.parent.exists():
                _sync_folder(folder.parent)
            self._made.add(folder)
        return folder

    def _trusts(self, key: str, stat: os.stat_result) -> bool:
        return self._trusted.get(key) == (stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def _trust(self, key: str, stat: os.stat_result) -> None:
        if len(self._trusted) >= _TRUSTED_LIMIT:
            self._trusted.clear()
        self._trusted[key] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(_size(inner) for inner in path.iterdir())

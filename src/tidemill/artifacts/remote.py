"""Artifacts at any URL that fsspec knows, read through a local folder of verified copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tidemill.artifacts.local import LocalFolder
from tidemill.artifacts.location import Blob, check_key, corrupt, digest_of
from tidemill.artifacts.problems import BadDigest, Missing, room_in
from tidemill.errors import BadSetting

# Object stores show an upload whole or not at all; elsewhere a reader could meet half a file.
_ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"})
# Object stores cannot renew the age of an object. What is this old is uploaded again, so that a sweep with a
# grace period above it never takes content that a task has just put.
REFRESH_AFTER = timedelta(hours=1)


class Remote:
    """An fsspec URL ("s3://bucket/prefix"). `cache` holds local copies; `clock` gives the time in UTC."""

    def __init__(self, url: str, *, cache: Path, clock: Callable[[], datetime]) -> None:
        try:
            import fsspec  # an optional extra: only this adapter needs it
        except ImportError:
            raise BadSetting(
                f"Artifacts are to be kept at {_shown(url)}, but fsspec is not installed.",
                why="Only local folders work without it.",
                mend="Install it: pip install 'tidemill[fsspec]' (for S3: 'tidemill[s3]'), or set a local folder.",
            ) from None
        try:
            self._fs, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise BadSetting(
                f"Artifacts cannot be kept at {_shown(url)}.",
                why=str(error),
                mend="Install the package that is named (for S3: pip install 'tidemill[s3]'), or correct the URL.",
            ) from error
        self.name = _shown(url)
        self._root = str(root).rstrip("/")
        self._atomic = url.split("://", 1)[0].rsplit("::", 1)[-1] in _ATOMIC
        self._cache = LocalFolder(cache)
        self._clock = clock

    def draft(self) -> Path:
        """See `Location`."""
        return self._cache.draft()

    def put_file(self, key: str, draft: Path) -> None:
        """See `Location`."""
        try:
            if not self._fresh(key, draft.stat().st_size):
                self._upload(key, draft)
            self._cache.put_file(key, draft)  # the next reader on this machine needs no download
        finally:
            draft.unlink(missing_ok=True)

    def put_bytes(self, key: str, data: bytes) -> None:
        """See `Location`."""
        draft = self.draft()
        with room_in(self._cache.name):
            draft.write_bytes(data)
        self.put_file(key, draft)

    def local_path(self, key: str) -> Path:
        """See `Location`."""
        check_key(key)
        if self._cache.exists(key):
            return self._cache.local_path(key)
        draft = self._cache.draft()
        try:
            with room_in(self._cache.name):
                self._fs.get_file(self._at(key), str(draft))
            found, _ = digest_of(draft)
            if found != key[:64]:
                raise corrupt(key, found, self.name)
            self._cache.put_file(key, draft)
        except FileNotFoundError:
            raise Missing(key, self.name) from None
        finally:
            draft.unlink(missing_ok=True)
        return self._cache.local_path(key)

    def exists(self, key: str) -> bool:
        """See `Location`."""
        return bool(self._fs.exists(self._at(key)))

    def blobs(self) -> Iterator[Blob]:
        """See `Location`."""
        self._fs.invalidate_cache()
        try:
            found: dict[str, dict[str, Any]] = self._fs.find(self._root, detail=True)
        except FileNotFoundError:
            return
        for path, info in found.items():
            try:
                key = check_key("".join(path.rsplit("/", 2)[-2:]))
            except BadDigest:
                continue  # not ours
            yield Blob(key, int(info["size"]), self._modified(path, info))

    def delete_if_older(self, key: str, than: datetime) -> bool:
        """See `Location`."""
        path = self._at(key)
        self._fs.invalidate_cache()
        try:
            if self._modified(path, self._fs.info(path)) >= than:
                return False
            self._fs.rm_file(path)
        except FileNotFoundError:
            return False
        return True

    def views(self) -> Path:
        """See `Location`."""
        return self._cache.views()

    def leftovers(self, than: datetime) -> Iterator[tuple[Path, int]]:
        """See `Location`. The cached copies count too."""
        yield from self._cache.leftovers(than)
        for blob in self._cache.blobs():
            if blob.modified < than:
                yield self._cache.root / blob.key[:2] / blob.key[2:], blob.size

    def _upload(self, key: str, draft: Path) -> None:
        target = self._at(key)
        with room_in(self.name):
            if self._atomic:
                self._fs.put_file(str(draft), target)
                return
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            beside = f"{target}.{draft.name}"  # unique, as the draft's name is
            try:
                self._fs.put_file(str(draft), beside)
                self._fs.mv(beside, target)
            finally:
                if self._fs.exists(beside):
                    self._fs.rm_file(beside)

    def _fresh(self, key: str, size: int) -> bool:
        """Whether `key` is there in full length, and put so recently that no sweep may take it."""
        path = self._at(key)
        self._fs.invalidate_cache()
        try:
            info = self._fs.info(path)
        except FileNotFoundError:
            return False
        return int(info["size"]) == size and self._clock() - self._modified(path, info) < REFRESH_AFTER

    def _modified(self, path: str, info: dict[str, Any]) -> datetime:
        for word in ("LastModified", "last_modified", "updated", "mtime", "created"):
            moment = info.get(word)
            if isinstance(moment, datetime):
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            if isinstance(moment, (int, float)):
                return datetime.fromtimestamp(moment, UTC)
        modified: datetime = self._fs.modified(path)
        return modified if modified.tzinfo else modified.replace(tzinfo=UTC)

    def _at(self, key: str) -> str:
        check_key(key)
        return f"{self._root}/{key[:2]}/{key[2:]}"


def _shown(url: str) -> str:
    """The URL without what may be a password in it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rsplit('@', 1)[-1]}{slash}{path.split('?', 1)[0]}"

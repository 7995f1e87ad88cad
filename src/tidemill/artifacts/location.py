"""Bytes under their digests: what every place for artifacts can do, and how a setting becomes one.

Knows no codec and no handle. A key is the BLAKE3 of the bytes in hex, so what is there is never replaced by
anything else. A *tree* is a blob that names other blobs; its key ends in `.tree`, so that garbage collection
can follow it without reading every blob.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
from blake3 import blake3

from tidemill.artifacts.problems import BadDigest
from tidemill.errors import Corrupt

TREE = ".tree"
_KEY = re.compile(r"[0-9a-f]{64}(?:\.tree)?", re.ASCII)
_PIECE = 1 << 20  # bytes per read while hashing: fits the cache, and a file of any size is hashed in constant memory

_WORTH_A_THREAD = 8 << 20


class Blob(msgspec.Struct, frozen=True):
    """One stored content, as a listing tells it. `modified` is when it was last put (UTC)."""

    key: str
    size: int  # bytes
    modified: datetime


class Location(Protocol):
    """A place for bytes. All verbs may be called from several processes and threads at once."""

    name: str  # for people

    def draft(self) -> Path:
        """A new empty local file (0600) to write into, then to be given to `put_file`."""

    def put_file(self, key: str, draft: Path) -> None:
        """Make `draft`, whose digest is `key`, the content of `key`, durably and all at once. The draft is gone afterwards.

        If a whole content is there already, its age starts anew and nothing else happens. Raises `NoSpace`.
        """

    def put_bytes(self, key: str, data: bytes) -> None:
        """The same for bytes in memory."""

    def local_path(self, key: str) -> Path:
        """A local file with the verified content of `key`, to read or map, never to write. Raises `Missing`, `Corrupt`."""

    def exists(self, key: str) -> bool:
        """Whether `key` is there; its bytes are not looked at."""

    def blobs(self) -> Iterator[Blob]:
        """Everything that was put, in no order."""

    def delete_if_older(self, key: str, than: datetime) -> bool:
        """Delete `key` unless it was put (again) at or after `than`. Says whether it was deleted."""

    def views(self) -> Path:
        """A local folder (0700) for copies that can be made anew at any time."""

    def leftovers(self, than: datetime) -> Iterator[tuple[Path, int]]:
        """Local drafts, views and caches untouched since `than`, with their sizes in bytes."""


def check_key(key: str) -> str:
    """`key` itself, if it is a digest or the key of a tree. Raises `BadDigest`."""
    if not _KEY.fullmatch(key):
        raise BadDigest(key)
    return key


def digest_of(path: Path) -> tuple[str, int]:
    """BLAKE3 of a file in hex, and its size in bytes.

    It is read piece by piece and not mapped: mapped pages would count as memory of this process.
    """
    digest, size = blake3(), 0
    piece = memoryview(bytearray(_PIECE))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(piece[:count])
            size += count
    return digest.hexdigest(), size


def digest_and_sync(path: Path) -> tuple[str, int]:
    """`digest_of`, while the disk takes the file at the same time: both are about as slow, and neither needs the other."""
    with path.open("rb+") as file:
        if os.fstat(file.fileno()).st_size < _WORTH_A_THREAD:
            return digest_of(path)
        from concurrent.futures import ThreadPoolExecutor  # loads a good part of the library: for large files only

        with ThreadPoolExecutor(1) as beside:
            # Its failure must be raised here: the kernel tells of a lost write once.
            synced = beside.submit(os.fsync, file.fileno())
            found = digest_of(path)
            synced.result()
    return found


def corrupt(key: str, found: str, where: str) -> Corrupt:
    """The problem of bytes that are not those that were written."""
    return Corrupt(
        f"The stored value {key[:12]}… is damaged.",
        why=f"Its bytes in {where} have the digest {found[:12]}…: something changed them after they were written.",
        mend="Run the task that made it again (the damaged copy is replaced), and check the disk.",
    )


def open_location(place: str | Path, *, cache: Path, clock: Callable[[], datetime]) -> Location:
    """The location that a setting names: a folder, or any URL that fsspec knows ("s3://bucket/prefix").

    `cache` is a local folder for what is downloaded; `clock` gives the time in UTC; a folder needs neither.
    """
    # Each adapter imports this module for the words above, and fsspec is optional.
    from tidemill.artifacts.local import LocalFolder

    text = str(place)
    if "://" not in text:
        return LocalFolder(Path(text))
    from tidemill.artifacts.remote import Remote

    return Remote(text, cache=cache, clock=clock)

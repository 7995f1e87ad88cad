"""Values by content: `keep` makes a handle of a value, `load` and `load_part` make a value of a handle.

Knows codecs by name and a `Location`; no run, no task and no database.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Literal

from blake3 import blake3

from tidemill.artifacts.codecs.choice import JSON, codec_for, codec_of, write
from tidemill.artifacts.codecs.convert import kind_of, read_as
from tidemill.artifacts.codecs.form import Codec, Source, Unfit, Written, type_name
from tidemill.artifacts.codecs.json import encode, from_json, is_plain, preview_of, to_json
from tidemill.artifacts.codecs.tagged import Tagger
from tidemill.artifacts.location import TREE, Location, corrupt, digest_and_sync
from tidemill.artifacts.parts import own, part_of
from tidemill.artifacts.problems import CannotStore, room_in
from tidemill.artifacts.recall import Recall
from tidemill.artifacts.shapes import shape_of
from tidemill.graph.values import INLINE_LIMIT, PREVIEW_LIMIT, Handle, PathStep

RECALL_LIMIT = 64 << 20  # bytes of decoded values that a process remembers for `load_part`
_JSON_WEIGHT = 8  # bytes of Python objects per byte of JSON, about
_TYPES_LIMIT = 10_000
_SCALARS = {kind: type_name(kind) for kind in (bool, int, float, str, NoneType)}


class Artifacts:
    """The artifact store of one process. Safe to share between threads.

    `mask` takes text and returns it without secrets: all that people will see of a value goes through it.
    """

    def __init__(self, location: Location, *, mask: Callable[[str], str] | None = None) -> None:
        self.location = location
        self._mask = mask
        self._codecs: dict[type, Codec] = dict.fromkeys((*_SCALARS, list, dict, tuple, set), JSON)
        self._recall = Recall(RECALL_LIMIT)

    def keep(self, value: object, *, declared: str = "", paths: Literal["content", "name"] = "content") -> Handle:
        """Store `value`, whole or not at all; once this returns, it survives power loss.

        `declared` is the type that people were promised, for messages. `paths="name"`: of a `Path` keep the words
        only, not the file (for parameters that say where to write). Raises `CannotStore`, `NoSpace`.
        """
        kind = type(value)
        if kind in _SCALARS:
            return self._keep_json(value, _SCALARS[kind])
        codec = self._codecs.get(kind)
        if codec is None:
            codec = self._codecs[kind] = codec_for(kind)
            if len(self._codecs) > _TYPES_LIMIT:
                self._codecs.clear()
        try:
            if codec is JSON and is_plain(value, 0):
                return self._keep_json(value, type_name(kind))
            if paths == "name" and (words := _with_paths_as_words(value)) is not None:
                return self._handle(value, JSON, words)
            with room_in(self.location.name):
                codec, written = write(value, codec, self.location)
                return self._handle(value, codec, written)
        except RecursionError as error:
            raise CannotStore(
                f"A value of type {type_name(kind)} is nested too deep to be stored.",
                why="Writing it would need more stack than Python allows.",
                mend="Return it flat: a list of rows, or a table.",
            ) from error
        except CannotStore as error:
            if declared and not error.where:
                error.why = f"{error.why} The task says that it returns {declared}.".strip()
            raise

    def load(self, handle: Handle, *, want: type | None = None) -> object:
        """The value again, verified. It is the caller's own: changing it changes nothing else.

        `want` asks for another kind of table: pandas or Polars DataFrame, LazyFrame, Arrow Table, or a Path to one;
        for other values it says nothing. Raises `Missing`, `Corrupt`, `CannotRead`, `LibraryMissing`.
        """
        data = handle.data
        if data is not None:
            found = blake3(data).hexdigest()
            if found != handle.digest:
                raise corrupt(handle.digest, found, "the metadata store")
            if handle.codec == "json" and handle.version == JSON.version:
                return from_json(data)
        codec = codec_of(handle)
        path = self.location.local_path(_key(handle.codec, handle.digest)) if data is None else None
        source = Source(handle, self.location, data, path)
        kind = kind_of(want) if want is not None else None
        return codec.read(source) if kind is None else read_as(kind, source, codec.read)

    def load_part(self, handle: Handle, path: tuple[PathStep, ...]) -> object:
        """The part of the value at `path`, verified and the caller's own. The value is decoded once for many parts.

        Raises `BadPath`, and what `load` raises.
        """
        if not path:
            return self.load(handle)
        key = (handle.digest, handle.codec, handle.type)
        value, known = self._recall.get(key)
        if not known:
            value = self.load(handle)
            self._recall.put(key, value, handle.size * (_JSON_WEIGHT if handle.codec == "json" else 1))
        part = part_of(value, path)
        try:
            return own(part)
        except Exception:  # noqa: BLE001 - __deepcopy__ of the user's type; a value read anew needs no copy
            return part_of(self.load(handle), path)

    def _keep_json(self, value: object, name: str) -> Handle:
        data = to_json(value)
        return self._handle(value, JSON, Written(data=data, preview=preview_of(data)), name)

    def _handle(self, value: object, codec: Codec, written: Written, name: str = "") -> Handle:
        digest, size, data = self._put(written)
        return Handle(
            codec.name,
            digest,
            size,
            codec.version,
            data,
            name or type_name(type(value)),
            shape_of(value),
            written.rows,
            None if written.schema is None else tuple((self._shown(column), kind) for column, kind in written.schema),
            None if written.preview is None else self._shown(written.preview, PREVIEW_LIMIT),
            None if written.note is None else self._shown(written.note, PREVIEW_LIMIT),
        )

    def _put(self, written: Written) -> tuple[str, int, bytes | None]:
        """Digest and size of what was written, and the bytes if they are so few that the handle carries them."""
        if written.data is not None:
            digest = blake3(written.data).hexdigest()
            if len(written.data) <= INLINE_LIMIT and not written.tree:
                return digest, len(written.data), written.data
            self.location.put_bytes(digest + TREE if written.tree else digest, written.data)
            return digest, len(written.data), None
        assert written.draft is not None
        try:
            if written.draft.stat().st_size <= INLINE_LIMIT:
                data = written.draft.read_bytes()
                return blake3(data).hexdigest(), len(data), data
            digest, size = digest_and_sync(written.draft)
            self.location.put_file(digest, written.draft)
            return digest, size, None
        finally:
            written.draft.unlink(missing_ok=True)

    def _shown(self, text: str, limit: int = PREVIEW_LIMIT) -> str:
        # Masked before it is cut, so that no beginning of a secret is left at the cut.
        text = self._mask(text) if self._mask else text
        return text if len(text) <= limit else text[: limit - 1] + "…"


def _key(codec: str, digest: str) -> str:
    return digest + TREE if codec == "files" else digest


def _with_paths_as_words(value: object) -> Written | None:
    """`value` as JSON in which a path is its words; None if it is no JSON value."""
    try:
        data = encode(Tagger(lambda _: None).tag(value, 0))
    except Unfit:
        return None
    return Written(data=data, preview=preview_of(data))

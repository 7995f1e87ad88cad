"""Marks inside a worker's stream of output: which attempt the bytes belong to, log records, values to mask.

A worker's file descriptors 1 and 2 are one pipe, so that child processes and C code are heard too, in order. The worker
writes marks into the same pipe; a random token tells them from output. Each is written at once and is at most
`PIPE_BUF` long, so that no other writer can get in between. Knows neither files nor processes.
"""

from __future__ import annotations

from collections.abc import Iterator

KEY_SIZE = 12
_ATOM = 4000  # below PIPE_BUF on Linux; what is longer travels in several marks
_SPLIT = b"\x1f"

ANNOUNCE, BEGIN, RECORD, SECRET = b"J", b"A", b"L", b"S"


class Mark:
    """One mark that was read: its kind and its bytes."""

    __slots__ = ("kind", "payload")

    def __init__(self, kind: bytes, payload: bytes) -> None:
        self.kind = kind
        self.payload = payload


def start_of(token: bytes) -> bytes:
    """What every mark begins with."""
    return b"\x00\x1e" + token


def mark(token: bytes, kind: bytes, payload: bytes) -> bytes:
    """One mark as it is written."""
    return b"%b%b%04x%b" % (start_of(token), kind, len(payload), payload)


def announcement(token: bytes, index: int, run: str, place: str) -> bytes:
    """From now on `index` stands for this place. Names that are too long to be written at once are cut."""
    words = [str(index).encode(), run.encode(errors="surrogatepass")[:500], place.encode(errors="surrogatepass")[:3000]]
    return mark(token, ANNOUNCE, _SPLIT.join(words))


def read_announcement(payload: bytes) -> tuple[int, str, str]:
    """Index, run and place."""
    index, run, place = payload.split(_SPLIT, 2)
    return int(index), run.decode(errors="replace"), place.decode(errors="replace")


def records(token: bytes, who: tuple[int, int, int] | None, label: str, text: bytes) -> Iterator[bytes]:
    """Marks that carry whole lines of one attempt (None: the one that runs), each with `label`."""
    head = (b"%d %d %d" % who if who else b"") + _SPLIT + label.encode(errors="replace")[:200] + _SPLIT
    room = _ATOM - len(head) - 64
    for at in range(0, len(text), room):
        more = b"+" if at + room < len(text) else b"."
        yield mark(token, RECORD, head + more + text[at : at + room])


def read_record(payload: bytes) -> tuple[tuple[int, int, int] | None, bytes, bytes, bool]:
    """Whose it is, its label, its text, and whether the rest of it follows."""
    who, label, text = payload.split(_SPLIT, 2)
    numbers = tuple(map(int, who.split()))
    return (numbers if len(numbers) == 3 else None), label, text[1:], text[:1] == b"+"


def secret(token: bytes, value: bytes) -> bytes:
    """From now on `value` is to be masked."""
    return mark(token, SECRET, value[:_ATOM])


class MarkReader:
    """A stream of output and marks, taken apart. Bytes that may be the beginning of a mark are held until more comes."""

    def __init__(self, token: bytes) -> None:
        self._start = start_of(token)
        self._head = len(self._start) + 5
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes | Mark]:
        """Output and marks, in order."""
        data = self._held + data
        self._held = b""
        at = 0
        while True:
            found = data.find(self._start, at)
            if found < 0:
                keep = self._possible(data, at)
                if keep > at:
                    yield data[at:keep]
                self._held = data[keep:]
                return
            if found > at:
                yield data[at:found]
            if len(data) < found + self._head:
                self._held = data[found:]
                return
            kind, size = data[found + self._head - 5 : found + self._head - 4], self._size(data, found)
            if size is None:  # our token and no length: somebody printed memory; it is output
                yield data[found : found + len(self._start)]
                at = found + len(self._start)
                continue
            end = found + self._head + size
            if len(data) < end:
                self._held = data[found:]
                return
            yield Mark(kind, data[found + self._head : end])
            at = end

    def rest(self) -> bytes:
        """What was held and will not be completed."""
        held, self._held = self._held, b""
        return held

    def _size(self, data: bytes, found: int) -> int | None:
        try:
            return int(data[found + self._head - 4 : found + self._head], 16)
        except ValueError:
            return None

    def _possible(self, data: bytes, at: int) -> int:
        """Where the longest tail of `data` begins that could be the start of a mark; its end if there is none."""
        low = max(at, len(data) - len(self._start) + 1)
        while (zero := data.find(b"\x00", low)) >= 0:
            if self._start.startswith(data[zero:]):
                return zero
            low = zero + 1
        return len(data)

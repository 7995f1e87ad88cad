"""Messages on a stream of bytes: four bytes of length, then MessagePack. Knows neither processes nor what is said."""

from __future__ import annotations

import socket
import struct
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

M = TypeVar("M")

FRAME_LIMIT = 64 << 20  # bytes; a longer frame means that the other side is not what we think
_LENGTH = struct.Struct(">I")
_CHUNK = 256 << 10

encoder = msgspec.msgpack.Encoder()


class TooLong(ValueError):
    """A message beyond `FRAME_LIMIT`."""


def frame(message: Any) -> bytes:
    """One message as it travels. Raises `TooLong`."""
    buffer = bytearray(_LENGTH.size)
    encoder.encode_into(message, buffer, _LENGTH.size)
    size = len(buffer) - _LENGTH.size
    if size > FRAME_LIMIT:
        raise TooLong(f"a message of {size} bytes; the limit is {FRAME_LIMIT}")
    _LENGTH.pack_into(buffer, 0, size)
    return bytes(buffer)


@cache
def decoder_of(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """The decoder of a kind of message. It takes milliseconds to make, so it is made once, before any fork."""
    return msgspec.msgpack.Decoder(kind)


class Unframer(Generic[M]):
    """Bytes as they come in, messages as they are complete."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = decoder_of(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[M]:
        """Add `data` and return the messages that are complete now. Raises `ValueError` for what is no frame."""
        buffer = self._buffer
        buffer += data
        found: list[M] = []
        at, end = 0, len(buffer)
        view = memoryview(buffer)
        try:
            while end - at >= 4:
                (size,) = _LENGTH.unpack_from(buffer, at)
                if size > FRAME_LIMIT:
                    raise TooLong(f"a frame of {size} bytes; the limit is {FRAME_LIMIT}")
                stop = at + 4 + size
                if stop > end:
                    break
                found.append(self._decoder.decode(view[at + 4 : stop]))
                at = stop
        finally:
            view.release()
        del buffer[:at]
        return found


class Wire(Generic[M]):
    """The far end of a link: blocking, one reader; writers must take turns."""

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        self.sock = sock
        self._unframer: Unframer[M] = Unframer(kind)
        self._ready: list[M] = []

    def send(self, message: Any) -> None:
        """Write one message. Raises `OSError` when the other side is gone, `TooLong`."""
        self.sock.sendall(frame(message))

    def receive(self) -> M | None:
        """The next message; None once the other side has closed."""
        while not self._ready:
            try:
                data = self.sock.recv(_CHUNK)
            except ConnectionError:
                return None
            if not data:
                return None
            self._ready = self._unframer.feed(data)
            self._ready.reverse()
        return self._ready.pop()

    def take(self) -> list[M] | None:
        """All messages that one read gives; None once the other side has closed. For readers that were told there is something."""
        try:
            data = self.sock.recv(_CHUNK)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        return self._unframer.feed(data) if data else None

"""Secrets taken out of text and bytes: raw, base64 and URL-encoded, also where a stream is cut in the middle of one.

Pure: it is given the secret values, and knows neither where they come from nor where the text goes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from tidemill.errors import BadSetting

__all__ = ["MASK", "MINIMUM", "Masker", "MaskingStream"]

MASK = "***"
_MASK = MASK.encode()
MINIMUM = 4  # characters; shorter values would take ordinary text away


class Masker:
    """Replaces every known secret by `***`. Without secrets it costs a comparison."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[bytes] | None = None
        self._forms: list[bytes] = []
        self._firsts: frozenset[int] = frozenset()
        self._longest = 0
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Mask this value from now on. Raises `BadSetting` if it is shorter than 4 characters."""
        if len(secret) < MINIMUM:
            raise BadSetting(
                f"A secret has {len(secret)} characters.",
                why=f"Values of fewer than {MINIMUM} characters cannot be masked: too much ordinary text looks like them.",
                mend="Use a longer secret, or a plain setting if it is none.",
            )
        if secret in self._secrets:
            return
        self._secrets.add(secret)
        self._forms = sorted({form for one in self._secrets for form in _forms(one)}, key=lambda form: (-len(form), form))
        self._longest = len(self._forms[0])
        self._firsts = frozenset(form[0] for form in self._forms)
        self._pattern = re.compile(b"|".join(map(re.escape, self._forms)))

    def __bool__(self) -> bool:
        return self._pattern is not None

    @property
    def longest(self) -> int:
        """Bytes of the longest form of a secret."""
        return self._longest

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if self._pattern is None or not text:
            return text
        return self.data(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def data(self, data: bytes) -> bytes:
        """`data` without secrets."""
        if self._pattern is None or not any(form in data for form in self._forms):  # a plain search is ten times faster
            return data
        return self._pattern.sub(_MASK, data)

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """`data` masked as far as no secret can begin in it, and the rest, to be put before what follows."""
        if self._pattern is None:
            return data, b""
        hold = self._may_begin(data)
        if not any(form in data for form in self._forms):
            return data[:hold], data[hold:]
        for found in self._pattern.finditer(data):
            if found.start() < hold < found.end():  # one secret is the beginning of another, or repeats itself
                hold = found.start()
                break
        return self._pattern.sub(_MASK, data[:hold]), data[hold:]

    def _may_begin(self, data: bytes) -> int:
        """The first place where the rest of `data` is the beginning of a secret, and not all of it; its end if there is none."""
        for start in range(max(0, len(data) - self._longest + 1), len(data)):
            if data[start] in self._firsts:
                rest = data[start:]
                if any(len(rest) < len(form) and form.startswith(rest) for form in self._forms):
                    return start
        return len(data)


class MaskingStream:
    """Masks bytes that come in pieces. What may be the beginning of a secret is held until the next piece."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be passed on now. At most twice the length of the longest secret is held."""
        if not self._masker and not self._held:
            return data
        ready, self._held = self._masker.split(self._held + data)
        return ready

    def flush(self) -> bytes:
        """The rest, at the end of the stream or when people should see it."""
        rest, self._held = self._held, b""
        return self._masker.data(rest)


def _forms(secret: str) -> set[bytes]:
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote(secret).encode(), quote_plus(secret).encode()}
    found.add(json.dumps(secret)[1:-1].encode())
    # Inside a longer text that is base64, a secret begins at one of three places; its inner characters are always the same.
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * shift + raw).rstrip(b"=")
            start = (0, 2, 3)[shift]
            end = len(coded) - (0 if (shift + len(raw)) % 3 == 0 else 1)
            if end - start >= 2 * MINIMUM or (shift == 0 and end - start >= MINIMUM):
                found.add(coded[start:end])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found |= {encode(raw), encode(raw).rstrip(b"=")}
    return {form for form in found if len(form) >= MINIMUM}

"""Where the log of an attempt is: `<home>/logs/<run>/<place>.<n>.<attempt>.log`, whatever the place is called. Opens nothing."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

_UNSAFE = re.compile(r"[^A-Za-z0-9_\[\]-]|^-")
_LONGEST = 120


class AttemptId(NamedTuple):
    """Which attempt of which unit of which place."""

    run: str
    place: str
    n: int
    attempt: int


def safe(name: str) -> str:
    """`name` as one part of a path: never empty, hidden or a way out, and different for different names."""
    escaped = _UNSAFE.sub(lambda found: "".join(f"%{byte:02x}" for byte in found.group().encode(errors="surrogatepass")), name) or "%"
    if len(escaped) <= _LONGEST:
        return escaped
    return f"{escaped[:80]}~{blake2b(name.encode(errors='surrogatepass'), digest_size=12).hexdigest()}"


def run_folder(home: Path, run: str) -> Path:
    """The folder with the logs of a run."""
    return home / "logs" / safe(run)


def log_file(home: Path, id: AttemptId) -> Path:
    """The log of an attempt. There is none when the attempt was silent."""
    return run_folder(home, id.run) / f"{safe(id.place)}.{id.n}.{id.attempt}.log"

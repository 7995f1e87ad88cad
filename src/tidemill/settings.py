"""Settings of a project: `[tool.tidemill]` of pyproject.toml or tidemill.toml, per environment, then TIDEMILL_… variables.

Knows files, keys and types; what a setting does is known where it is used. pydantic is not imported.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tidemill.errors import BadSetting, nearest
from tidemill.graph.durations import seconds
from tidemill.graph.sizes import byte_count

__all__ = ["Settings", "load_settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default. Durations in seconds, sizes in bytes, paths absolute."""

    folder: Path  # of the project
    environment: str = "default"
    modules: tuple[str, ...] = ()  # empty: the *.py files of the folder that import tidemill
    home: Path  # where state lives
    database_url: str  # SQLAlchemy URL
    artifacts: str  # folder or fsspec URL
    workers: int = 0  # processes; 0: one per processor
    gpus: int = 0  # that tasks may use; one that needs more than there are runs when no other uses any
    pools: dict[str, int] = {}  # name → how many tasks at once
    load_timeout: float = 60.0  # for importing the project's modules
    grace: float = 10.0  # from SIGTERM to SIGKILL
    lease: float = 15.0  # a run whose engine was silent so long is taken over
    outage: float = 1800.0  # so long running work goes on without the database
    log_quota: int = 10_000_000  # of one attempt
    worker_recycle_tasks: int = 1000  # a worker is replaced after so many; 0: never
    worker_recycle_memory: int = 1_000_000_000  # or when it has grown so large
    retention: float = 30 * 86400.0  # ended runs and values that nothing names are kept so long
    retention_runs: int = 20  # but so many of each flow always
    resources: dict[str, dict[str, Any]] = {}  # fields that replace those of resources, by name


def load_settings(folder: Path, env: Mapping[str, str], environment: str = "default") -> Settings:
    """The settings of the project in `folder`. Later ones win: defaults, file, its part for `environment`, variables.

    A tidemill.toml is taken before a pyproject.toml; neither need exist. Raises `BadSetting`.
    """
    folder = folder.resolve()
    environment = env.get("TIDEMILL_ENVIRONMENT", environment) if environment == "default" else environment
    path, table = _read(folder)
    environments = table.pop("env", {})
    values = _checked(table, path, at="")
    if not isinstance(environments, dict):
        raise _wrong(path, "env", environments, "a table per environment")
    if environment not in environments and environments and environment != "default":
        guess = nearest(environment, environments)
        raise BadSetting(
            f"There is no environment named {environment!r}.",
            why=f"{path} has {', '.join(sorted(environments))}.",
            mend=f"Did you mean {guess!r}?" if guess else f"Add [env.{environment}] there.",
        )
    for name, part in environments.items():  # all are read, so that a mistake shows before that environment is used
        if not isinstance(part, dict):
            raise _wrong(path, f"env.{name}", part, "a table")
        own = _checked(part, path, at=f"env.{name}.")
        if name == environment:
            values = _merged(values, own)
    values |= _from_variables(env)
    home = _inside(folder, values.pop("home", ".tidemill"))
    values["artifacts"] = _location(folder, values.get("artifacts") or str(home / "artifacts"))
    values.setdefault("database_url", f"sqlite:///{home / 'tidemill.db'}")
    return Settings(folder=folder, environment=environment, home=home, **values)


def _read(folder: Path) -> tuple[Path, dict[str, Any]]:
    own, project = folder / "tidemill.toml", folder / "pyproject.toml"
    if own.is_file():
        table = _parsed(own)
        return own, table
    if project.is_file():
        table = _parsed(project).get("tool", {}).get("tidemill", {})
        if not isinstance(table, dict):
            raise _wrong(project, "tool.tidemill", table, "a table")
        return project, table
    return own, {}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} cannot be read.", why=f"It is not valid TOML: {error}.", mend="Correct it there.") from error


def _checked(table: Mapping[str, Any], path: Path, *, at: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in table.items():
        reader = _READERS.get(key)
        if reader is None:
            guess = nearest(key, _READERS)
            raise BadSetting(
                f"{path} has the unknown setting {at + key!r}.",
                why=f"Known: {', '.join(sorted(_READERS))}.",
                mend=f"Did you mean {guess!r}?" if guess else "Take it out.",
            )
        values[key] = _by(reader, value, path, at + key)
    return values


def _by(reader: tuple[str, Callable[[Any], Any]], value: Any, source: object, key: str) -> Any:
    expected, read = reader
    try:
        return read(value)
    except (BadSetting, ValueError, TypeError):
        raise _wrong(source, key, value, expected) from None


def _wrong(source: object, key: str, value: Any, expected: str) -> BadSetting:
    return BadSetting(f"{source}: {key} takes {expected}, and has {value!r:.100}.", mend="Correct it there.")


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` wins; tables (pools, fields of resources) are joined key by key."""
    found = dict(base)
    for key, value in over.items():
        old = found.get(key)
        found[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def _from_variables(env: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, reader in _READERS.items():
        if key in ("pools", "resources"):
            continue  # tables: in files only
        text = env.get(f"TIDEMILL_{key.upper()}", "")
        if text:
            values[key] = _by(reader, _plain(key, text), "The environment", f"TIDEMILL_{key.upper()}")
    return values


def _plain(key: str, text: str) -> Any:
    if key == "modules":
        return [part.strip() for part in text.split(",") if part.strip()]
    return int(text) if text.isdecimal() else text


def _inside(folder: Path, value: str) -> Path:
    path = Path(value).expanduser()
    return path if path.is_absolute() else folder / path


def _location(folder: Path, value: str) -> str:
    return value if "://" in value else str(_inside(folder, value))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(one) for one in value)


def _whole(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise TypeError
        return value

    return read


def _slots(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        raise TypeError
    return {name: _whole(1)(slots) for name, slots in value.items()}


def _tables(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(fields, dict) for fields in value.values()):
        raise TypeError
    return value


def _size(value: Any) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else byte_count(value)


_DURATION = ("a duration such as '30s', '2h' or '7d'", seconds)
_SIZE = ("an amount of bytes such as '300MB'", _size)
_COUNT = ("a whole number of at least 0", _whole(0))

_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "modules": ("a list of module names or files", _names),
    "home": ("the path of a folder", _text),
    "database_url": ("a database URL such as 'postgresql://host/name'", _text),
    "artifacts": ("a folder or a URL such as 's3://bucket/path'", _text),
    "workers": _COUNT,
    "gpus": _COUNT,
    "pools": ("a table of names and whole numbers of at least 1", _slots),
    "load_timeout": _DURATION,
    "grace": _DURATION,
    "lease": _DURATION,
    "outage": _DURATION,
    "log_quota": _SIZE,
    "worker_recycle_tasks": _COUNT,
    "worker_recycle_memory": _SIZE,
    "retention": _DURATION,
    "retention_runs": _COUNT,
    "resources": ("a table of fields per resource", _tables),
}

"""`secret("NAME")`: a value that is looked up only when it is asked for, in the process that asks.

Knows names and where values may be: the environment, a file named by NAME_FILE, the project's `.env`. Keeps none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tidemill.authoring.masking import MINIMUM
from tidemill.errors import Problem

__all__ = ["MissingSecret", "SecretName", "Secrets", "current_secrets", "read_env_file", "secret", "use_secrets"]


class MissingSecret(Problem):
    """A secret that is nowhere, or that cannot be masked."""

    code = "missing-secret"


class SecretName:
    """Stands for a secret until a task asks for its value. Shows its name, never its value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"secret({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretName) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (SecretName, (self.name,))

    def __deepcopy__(self, memo: object) -> SecretName:
        return self


def secret(name: str) -> Any:
    """A secret by name, for a field of a `Resource`.

    Write `token: str = secret("SHOP_TOKEN")`. Its value is read when a task reads the field: from the environment
    variable `name`, else from the file that `name`_FILE names, else from `.env` of the project. It is masked wherever
    it would be stored or shown.
    """
    if not name or not name.replace("_", "").isalnum():
        raise MissingSecret(
            f"secret({name!r}) does not name a secret.",
            why="The argument is the name of an environment variable, not the value itself.",
            mend='Write, for example, secret("SHOP_TOKEN"), and put SHOP_TOKEN=… into .env.',
        )
    return SecretName(name)


class Secrets:
    """Looks secrets up. `told` hears every value before it is handed out, so that it can be masked."""

    def __init__(self, env: Mapping[str, str], folder: Path | None, *, told: Callable[[str], None] | None = None) -> None:
        self._env = env
        self._folder = folder
        self._told = told
        self._file: dict[str, str] | None = None

    def resolve(self, name: str) -> str:
        """The value. Raises `MissingSecret`."""
        value = self._find(name)
        if value is None:
            places = f"the environment variable {name}, a file named by {name}_FILE" + (
                f", and {self._folder / '.env'}" if self._folder else ""
            )
            raise MissingSecret(
                f"There is no secret named {name!r}.", why=f"Looked for in {places}.", mend=f"Put {name}=… into .env, or set the variable."
            )
        if len(value) < MINIMUM:
            raise MissingSecret(
                f"The secret {name!r} has fewer than {MINIMUM} characters.",
                why="So short a value cannot be masked: too much ordinary text looks like it.",
                mend="Use a longer secret, or a plain field if it is none.",
            )
        if self._told is not None:
            self._told(value)
        return value

    def _find(self, name: str) -> str | None:
        if name in self._env:
            return self._env[name]
        if path := self._env.get(f"{name}_FILE"):
            try:
                return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except OSError as error:
                raise MissingSecret(
                    f"The secret {name!r} cannot be read from its file.", why=f"{name}_FILE is {path}: {error.strerror or error}."
                ) from error
        if self._file is None:
            self._file = read_env_file(self._folder / ".env") if self._folder else {}
        return self._file.get(name)


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=value per line; quotes around a value, `export ` and comments are understood. No file: nothing."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not name or name.startswith("#"):
            continue
        quoted = value[:1] in ("'", '"') and (end := value.find(value[0], 1)) > 0
        found[name] = value[1:end] if quoted else value.split(" #", 1)[0].rstrip()
    return found


_current: Secrets | None = None


def use_secrets(secrets: Secrets | None) -> Secrets | None:
    """From now on this process looks secrets up here. A worker calls it once; returns what was used before."""
    global _current  # one process, one place to look secrets up: it is what separates workers
    before, _current = _current, secrets
    return before


def current_secrets() -> Secrets:
    """Where this process looks secrets up: what `use_secrets` said, else its own environment and folder."""
    return _current or Secrets(os.environ, Path.cwd())

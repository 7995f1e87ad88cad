"""`Resource`: a configured connection or service, handed to tasks by the name of their parameter.

Knows pydantic (importing `tidemill.Resource` imports it) and secrets; which task needs which resource is `wiring`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pydantic

from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.resources.secret import SecretName, current_secrets
from tidemill.errors import BadSetting, Problem, Unknown

__all__ = ["Resource", "ResourceFailed", "ResourceScope", "overridden"]


class ResourceFailed(Problem):
    """A resource that could not be started."""

    code = "resource-failed"


class Resource(pydantic.BaseModel):
    """A typed, configured connection or service. Make one at module level: its variable's name is the resource's name.

    A task gets it by a parameter of that name. `start` is called once per worker, before the first task that needs it;
    `close` when the worker ends. A class with `__enter__` and `__exit__` has these called instead, and tasks get what
    `__enter__` returns. Fields that are secrets are read when they are asked for, and never shown.
    """

    model_config = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    def start(self) -> None:
        """Connect. Called once per worker."""

    def close(self) -> None:
        """Let go of what `start` took."""

    @pydantic.field_validator("*", mode="wrap")
    @classmethod
    def _secrets_stay_names(cls, value: Any, check: pydantic.ValidatorFunctionWrapHandler) -> Any:
        return value if type(value) is SecretName else check(value)

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return self._read_secret(name, value) if type(value) is SecretName else value

    def _read_secret(self, name: str, value: SecretName) -> Any:
        raw = current_secrets().resolve(value.name)
        annotation: Any = type(self).model_fields[name].annotation if name in type(self).model_fields else str
        if annotation is str:
            return raw
        try:
            return pydantic.TypeAdapter(annotation).validate_python(raw)
        except pydantic.ValidationError:
            raise BadSetting(
                f"The secret {value.name!r} is no {getattr(annotation, '__name__', annotation)}, which {type(self).__name__}.{name} takes.",
                mend="Correct it where it is kept. (Its value is not shown.)",
            ) from None

    def secret_fields(self) -> tuple[str, ...]:
        """Names of the fields that are declared as secrets."""
        return tuple(name for name, field in type(self).model_fields.items() if type(field.default) is SecretName)

    def __repr_args__(self) -> Any:
        hidden = set(self.secret_fields())
        for name, value in self.__dict__.items():
            if name in type(self).model_fields and type(value) is not SecretName:
                yield name, ("***" if name in hidden else value)
            else:
                yield name, value

    def __str__(self) -> str:
        return repr(self)


class ResourceScope:
    """The resources of one worker process: each started when first asked for, closed in reverse order."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self._known = dict(resources)
        self._started: dict[int, tuple[Resource, Any]] = {}
        self._lock = threading.RLock()  # reentrant: a resource may need another

    def get(self, name: str) -> Any:
        """The started resource. Raises `Unknown` or `ResourceFailed`."""
        resource = self._known.get(name)
        if resource is None:
            raise Unknown("resource", name, known=self._known, see="tidemill ls")
        with self._lock:
            return self._start(name, resource)

    def close_all(self) -> list[BaseException]:
        """Close what was started, the last one first. Errors are returned, and stop nothing."""
        errors: list[BaseException] = []
        with self._lock:
            while self._started:
                _key, (resource, _value) = self._started.popitem()
                try:
                    if _is_context(resource):
                        resource.__exit__(None, None, None)
                    else:
                        resource.close()
                except Exception as error:  # noqa: BLE001 - one that fails must not keep the others open
                    errors.append(error)
        return errors

    def _start(self, name: str, resource: Resource) -> Any:
        if id(resource) in self._started:
            return self._started[id(resource)][1]
        for field, inner in resource.__dict__.items():
            if isinstance(inner, Resource):
                self._start(f"{name}.{field}", inner)
        try:
            value: Any = resource
            if _is_context(resource):
                value = resource.__enter__()
            else:
                resource.start()
        except Problem:
            raise
        except Exception as error:
            raise ResourceFailed(
                f"The resource {name!r} ({type(resource).__name__}) could not be started.", why=f"{type(error).__name__}: {error}"
            ) from error
        self._started[id(resource)] = (resource, value)
        return value


def _is_context(resource: Resource) -> bool:
    return hasattr(type(resource), "__enter__") and hasattr(type(resource), "__exit__")


def overridden(resources: Mapping[str, Resource], overrides: Mapping[str, Mapping[str, Any]], *, where: str = "") -> dict[str, Resource]:
    """The resources with fields replaced, as an environment's settings say. Raises `Unknown` or `BadSetting`."""
    found = dict(resources)
    for name, fields in overrides.items():
        if name not in found:
            raise Unknown("resource", name, known=found, see="tidemill ls")
        resource = found[name]
        for field in fields:
            if field not in type(resource).model_fields:
                raise Unknown(f"field of the resource {name!r}", field, known=type(resource).model_fields)
        try:
            found[name] = type(resource).model_validate({**resource.__dict__, **fields})
        except pydantic.ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise BadSetting(
                f"The field {'.'.join(map(str, first['loc']))!r} of the resource {name!r} cannot be what the settings say.",
                why=f"{first['msg']}.",
                mend="Correct it in the environment's settings.",
                where=where,
            ) from None
    return found


def refuse_as_argument(resource: Resource, parameter: str) -> BadDefinition:
    """The error for a resource that is passed to a task inside a flow, and is not the one of the parameter's name."""
    return BadDefinition(
        f"A {type(resource).__name__} was passed to a task for {parameter!r}, and it is not the resource of that name.",
        why="A parameter is filled with the resource of its name. Another cannot be stored with the run: it has secrets.",
        mend=f"Name the resource {parameter!r}, at the top level of its module, or rename the parameter.",
    )

"""`source`: data that others make, observed and never computed. Files, tables, or the user's own function.

A source says how it is looked at; when, and what becomes of what was found, is decided elsewhere.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, Unpack, cast, overload

from tidemill.authoring.assets.asset import Maker
from tidemill.authoring.assets.observation import Observation
from tidemill.authoring.assets.options import valid_name
from tidemill.authoring.assets.problems import WrongResult
from tidemill.authoring.places import here, place_of
from tidemill.authoring.policies import OPTION_NAMES, TaskOptions, policy_from
from tidemill.authoring.problems import BadDefinition
from tidemill.authoring.types.signatures import UNKNOWN, Signature
from tidemill.errors import BadSetting, Unknown
from tidemill.graph.policy import Policy

__all__ = ["FileSource", "FunctionSource", "Source", "TableSource", "source"]

R = TypeVar("R")

PREVIOUS = "previous"  # the argument that a worker gets: what was observed before


class SourceWords(TaskOptions, total=False):
    """Every keyword of `@source(...)`, `source.files(...)` and `source.table(...)`."""

    owner: str
    group: str
    description: str


class Source(Generic[R]):
    """Data that others make. Its name is that of its variable, or of its function; readers ask for it by that name.

    Each observation that differs from the one before is a new version.
    """

    is_asset: ClassVar[bool] = True
    noun: ClassVar[str] = "source"
    kind: ClassVar[str] = ""
    result_hint: Any = UNKNOWN
    paths: ClassVar[Literal["content", "name"]] = "content"

    def __init__(self, words: SourceWords, *, name: str = "", module: str = "", where: str = "") -> None:
        options: dict[str, Any] = dict(words)
        self.name = ""
        self.owner, self.group, self.description = (_text(word, options.pop(word, "")) for word in ("owner", "group", "description"))
        if unknown := options.keys() - OPTION_NAMES:
            raise Unknown("source option", min(unknown), known=SourceWords.__annotations__.keys() | OPTION_NAMES)
        if options.get("cache"):
            raise BadSetting("A source says cache=.", why="A source is looked at each time it is asked for.", mend="Leave it out.")
        self.policy, self.backoff = policy_from(options, start=Policy(), task=name)
        self.stated_version = str(options.get("version", ""))
        self.checks: tuple[Any, ...] = ()
        self.module = module
        self.place = where
        self.variable = ""  # by which the module has it
        if name or options.get("name"):
            self.named(str(options.get("name") or name))

    def named(self, name: str, *, variable: str = "", module: str = "") -> Source[R]:
        """The same, once its name is known: the first that it gets stays. Raises `BadDefinition`."""
        if not self.name:
            if not valid_name(name):
                mend = "Use letters, digits, '_', '-' and '/'."
                raise BadDefinition(f"{name!r} cannot be the name of a source.", mend=mend, where=self.place)
            self.name = name
        if variable and not self.variable:
            self.variable, self.module = variable, module or self.module
        return self

    def add_check(self, check: Any) -> None:
        """One more check on what was observed: what `@check(source)` does."""
        self.checks = (*(one for one in self.checks if one.name != check.name), check)

    @property
    def about(self) -> str:
        """What is observed, for people: "files inbox/*.csv"."""
        return self.kind

    @property
    def signature(self) -> Signature:
        """What `observe` takes besides the observation before: resources, by name."""
        return Signature(_nothing)

    def observe(self, previous: Observation | None = None, **resources: Any) -> Observation:
        """Look. `previous` is what the last look found. Returns the state now."""
        raise NotImplementedError

    def maker(self, _name: str) -> Maker:
        """What a worker calls: `observe`, with the observation before."""

        def observed(previous: Any = None, **resources: Any) -> Any:
            found = self.observe(previous if isinstance(previous, Observation) else None, **resources)
            # Told by its value alone, it is kept as that: a table stays a table.
            return found if found.token or found.event_time is not None or found.watermark is not None else found.value

        return Maker(
            function=observed, signature=Signature(observed), checks=self.checks, backoff=self.backoff, paths=self.paths, looks=True
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        found = getattr(sys.modules.get(self.module), self.variable, None) if self.variable and self.module != "__main__" else None
        return (_by_name, (self.module, self.variable)) if found is self else super().__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return f"<source {self.name or '(not named yet)'}: {self.about}>"


class FileSource(Source[list[Path]]):
    """Files that match a pattern, in the order of their paths. Its version changes when one comes, goes or changes."""

    kind = "files"
    result_hint = list[Path]
    paths = "name"

    def __init__(self, pattern: str, by: str, words: SourceWords, *, module: str = "", where: str = "") -> None:
        super().__init__(words, module=module, where=where)
        self.pattern = pattern
        self.by = by
        file = Path(where.rpartition(":")[0])
        self.folder = file.parent.absolute() if file.suffix == ".py" else Path.cwd()

    @property
    def about(self) -> str:
        return f"files {self.pattern}"

    def observe(self, previous: Observation | None = None, **_resources: Any) -> Observation:
        """The files that are there now."""
        from tidemill.authoring.assets.files import observe_files  # lazily: it hashes, and only workers do

        return observe_files(self.pattern, folder=self.folder, by_content=self.by == "content", previous=previous)


class FunctionSource(Source[R]):
    """A function of the user's that looks. If it takes `cursor`, it gets the token of the observation before."""

    kind = "function"

    def __init__(self, function: Callable[..., Any], words: SourceWords) -> None:
        self.function = function
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__doc__ = function.__doc__
        super().__init__(words, name=str(words.get("name") or function.__name__), module=function.__module__, where=place_of(function))
        self.variable = function.__qualname__
        self.description = self.description or inspect.getdoc(function) or ""
        self._signature = Signature(function)

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def result_hint(self) -> Any:
        """What readers get; not known where the function wraps it."""
        hint = self._signature.hint("return")
        origin = getattr(hint, "__origin__", hint)
        return UNKNOWN if origin is tuple or hint is Observation else hint

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def observe(self, previous: Observation | None = None, **resources: Any) -> Observation:
        """What the function found; the observation before, when it says the same token. Raises `WrongResult`."""
        if "cursor" in self._signature.names:
            resources["cursor"] = previous.token if previous is not None and previous.token else None
        found = self.function(**resources)
        if inspect.iscoroutine(found):
            import asyncio  # lazily: only for sources that are `async def`

            found = asyncio.run(found)
        made = _observation(found, self)
        return previous if previous is not None and made.token and made.token == previous.token else made


class TableSource(Source[Any]):
    """A table in a database: read whole, or only looked at by a query whose answer changes when the table does."""

    kind = "table"

    def __init__(self, table: str, resource: str, token: str, words: SourceWords, *, module: str = "", where: str = "") -> None:
        super().__init__(words, module=module, where=where)
        self.table = table
        self.resource = resource
        self.token = token

    @property
    def about(self) -> str:
        return f"table {self.table}"

    @property
    def signature(self) -> Signature:
        resource = self.resource

        def look() -> None: ...

        parameter = inspect.Parameter(resource, inspect.Parameter.KEYWORD_ONLY)
        look.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]
        return Signature(look)

    def observe(self, previous: Observation | None = None, **resources: Any) -> Observation:
        """The name of the table as the value, and the answer of the query as the token. Raises `WrongResult`."""
        run = getattr(resources[self.resource], "execute", None)
        if run is None:
            raise WrongResult(
                f"The source {self.name!r} looks at a table through {self.resource!r}, which has no execute().",
                why="The resource must give a connection: an object whose execute(sql) returns rows with fetchall().",
                mend="Let __enter__ of the resource return the connection, or write a @source function.",
                where=self.place,
            )
        rows = [list(row) for row in run(self.token).fetchall()]
        made = Observation(self.table, token=repr(rows))
        return previous if previous is not None and previous.token == made.token else made


class _SourceMaker:
    """`source`: as a decorator it makes a source of a function; its methods make sources of files and tables."""

    @overload
    def __call__(self, function: Callable[..., R], /) -> FunctionSource[R]: ...
    @overload
    def __call__(self, /, **words: Unpack[SourceWords]) -> Callable[[Callable[..., R]], FunctionSource[R]]: ...
    def __call__(self, function: Any = None, /, **words: Any) -> Any:
        """Make a function a source: it looks, and returns what it found.

        It returns the value, or (value, token), or an `Observation`. With a token, the version changes when the token
        does; without, when the value does. A parameter `cursor` gets the token of the observation before (None at first);
        other parameters are filled with resources. Options: `name`, `owner`, `group`, `description`, and those of a task.
        """
        if function is None:
            return lambda inner: _of_function(inner, words)
        return _of_function(function, words)

    def files(self, pattern: str, *, by: Literal["time", "content"] = "time", **words: Unpack[SourceWords]) -> FileSource:
        """The files that match a glob pattern ("inbox/*.csv", "**" goes into folders), seen from the folder of this module.

        A new version comes with each file that comes, goes or changes: told `by` its size and time of change, or by its
        "content", which is read for it. Readers get a sorted `list[Path]`. Raises `BadSetting`.
        """
        given: object = pattern
        if not isinstance(given, str) or not given:
            raise BadSetting(f"source.files({pattern!r:.80}) is not a pattern.", mend='Write, for example, source.files("inbox/*.csv").')
        if by not in ("time", "content"):
            raise BadSetting(f"by={by!r} is not known.", why="Known: 'time', 'content'.")
        return FileSource(pattern, by, words, module=_caller_module(), where=here())

    def table(self, table: str, resource: str, *, token: str, **words: Unpack[SourceWords]) -> TableSource:
        """A table of a database. `resource` names the resource whose connection runs `token`, a query such as
        "select max(updated_at), count(*) from orders": a new version comes when its answer changes.

        Readers get the table's name, and read it through the resource. Raises `BadSetting`.
        """
        given: dict[str, object] = {"table": table, "resource": resource, "token": token}
        for word, value in given.items():
            if not isinstance(value, str) or not value.strip():
                raise BadSetting(f"source.table({word}={value!r:.80}) is not text.")
        if not resource.isidentifier():
            raise BadSetting(f"source.table(resource={resource!r}) is not the name of a resource.")
        return TableSource(table, resource, token, words, module=_caller_module(), where=here())


source = _SourceMaker()


def _of_function(function: Any, words: dict[str, Any]) -> FunctionSource[Any]:
    if not inspect.isfunction(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadDefinition(
            f"@source was given {function!r:.80}, which is not a function that returns what it found.",
            mend="Write: @source / def name(cursor: str | None): ... return value, token",
        )
    return FunctionSource(function, cast("SourceWords", words))


def _observation(found: Any, source: FunctionSource[Any]) -> Observation:
    if isinstance(found, Observation):
        return found
    if type(found) is tuple and len(found) == 2:
        value, token = found
        if isinstance(token, (str, int, float)) and not isinstance(token, bool):
            return Observation(value, token=str(token))
        raise WrongResult(
            f"The source {source.name!r} returned a tuple whose second part is a {type(token).__name__}.",
            why="Two parts are taken for (value, token), and a token is text or a number.",
            mend="Return an Observation(value, token=…), or the value in a list.",
            where=source.place,
        )
    return Observation(found)


def _caller_module() -> str:
    frame = sys._getframe(2)
    return str(frame.f_globals.get("__name__", ""))


def _nothing() -> None: ...


def _text(word: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadSetting(f"{word}={value!r:.60} is not text.")
    return value


def _by_name(module: str, variable: str) -> Any:
    from tidemill.authoring.identity import load  # lazily: `load` imports user modules, and only unpickling asks for it

    return load(module, variable)

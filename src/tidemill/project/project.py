"""A project as its owner uses it: found, configured, and run. The one place where settings become parts.

Knows which adapter a setting means; what the adapters do is their business. User code is imported by the loader alone.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tidemill.clock import SystemClock
from tidemill.executors.protocol import Spec
from tidemill.project.home import make_home
from tidemill.project.places import NoHistory, Place, check_definitions, find, histories_below
from tidemill.settings import Settings, load_settings

if TYPE_CHECKING:
    from tidemill.executors.pool import ProcessExecutor
    from tidemill.graph.assets import RefRow
    from tidemill.plan.values import Plan
    from tidemill.ports import Artifacts, Clock, Store
    from tidemill.project.data.environments import Promotion
    from tidemill.project.data.facade import AssetLine, Update
    from tidemill.project.forecast import Forecast
    from tidemill.project.result import RunResult
    from tidemill.project.session import Session

__all__ = ["Project"]

T = TypeVar("T")

_NEVER = 1 << 60  # tasks


class Project:
    """A project: the pipeline file, folder or module `target`, with its settings and its history.

    `environment` chooses the part `[env.NAME]` of its settings. Making one reads files; it imports, creates and starts
    nothing. Raises `NoProject`, `BadSetting`.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] = ".",
        environment: str = "default",
        *,
        env: Mapping[str, str] | None = None,
        current: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        words = [] if os.fspath(target) in ("", ".") else [os.fspath(target)]
        self._init(find(words, current or Path.cwd()), environment, env, clock)

    @classmethod
    def at(cls, place: Place, environment: str = "default", *, env: Mapping[str, str] | None = None, clock: Clock | None = None) -> Project:
        """The project of a place that was found already."""
        project = cls.__new__(cls)
        project._init(place, environment, env, clock)
        return project

    def _init(self, place: Place, environment: str, env: Mapping[str, str] | None, clock: Clock | None) -> None:
        self.place = place
        self.settings: Settings = load_settings(place.folder, os.environ if env is None else env, environment)
        self.clock: Clock = clock or SystemClock()

    @property
    def home(self) -> Path:
        """Where its state lives."""
        return self.settings.home

    # ---------------------------------------------------------------- parts

    def spec(self) -> Spec:
        """What the far side must know."""
        settings, target = self.settings, self.place.target
        return Spec(
            project=target,
            home=str(self.home),
            artifacts=settings.artifacts,
            environment=settings.environment,
            settings=settings.resources,
            modules=tuple(_dotted(name) for name in settings.modules) if Path(target).is_dir() else (),
            lease=settings.lease,
            grace=settings.grace,
            log_quota=settings.log_quota,
            recycle_memory=settings.worker_recycle_memory,
        )

    def executor(self) -> ProcessExecutor:
        """A new executor and loader. Its supervisor starts to import the project at once, while the caller goes on."""
        check_definitions(self.place, self.settings.modules)
        make_home(self.home)
        from tidemill.executors.pool import ProcessExecutor  # lazily: asyncio, which commands that only read do not need

        settings = self.settings
        made = ProcessExecutor(
            self.spec(),
            slots=settings.workers or None,
            recycle_after=settings.worker_recycle_tasks or _NEVER,
            load_timeout=settings.load_timeout,
        )
        made.spawn()
        return made

    def store(self, *, lock: bool = False, command: str = "") -> Store:
        """The metadata store. `lock`: to drive runs; without it only to look, and what was never made is not made.

        Raises `NoHistory`, `InUse`, and what opening a database raises.
        """
        url = self.settings.database_url
        if lock:
            make_home(self.home)
        from tidemill.store import open_store  # lazily: SQLAlchemy is most of what a command costs

        if not lock and url.startswith("sqlite"):
            from tidemill.store.opening import sqlite_path

            if not sqlite_path(url).exists():
                raise NoHistory(self.home, histories_below(self.place.folder))
        return open_store(url, lock=lock, command=command)

    def artifacts(self) -> Artifacts:
        """The values of this project."""
        from tidemill.artifacts.location import open_location  # lazily, as above
        from tidemill.artifacts.store import Artifacts as Values

        return Values(open_location(self.settings.artifacts, cache=self.home / "cache", clock=self.utc))

    def utc(self) -> datetime:
        """The time, with its zone."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def session(self, *, command: str, refresh: bool = False) -> Session:
        """An engine for this project, to be used in `async with`. Its supervisor is started now. `refresh`: recall no results."""
        executor = self.executor()
        from tidemill.project.session import Session as Made  # lazily: it is imported while the supervisor imports the project

        return Made(
            store=lambda: self.store(lock=True, command=command), executor=executor, loader=executor, clock=self.clock,
            settings=self.settings, target=self.place.target, command=command, refresh=refresh,
        )  # fmt: skip

    # ---------------------------------------------------------------- asking the loader

    def describe(self) -> dict[str, Any]:
        """Flows (with the JSON Schema of their parameters), tasks and resources, as plain data. Raises the project's `Problem`."""
        return _outside_any_loop(lambda: asyncio.run(self._ask(lambda loader: loader.describe())))

    def listed(self) -> tuple[dict[str, Any], list[AssetLine]]:
        """What `describe` gives; and every asset and source with its state, as far as the store tells. Looks at no source."""
        from tidemill.project.data.facade import asset_lines  # lazily, as above

        async def both(loader: ProcessExecutor) -> Any:
            return await loader.describe(), await asset_lines(loader, self)

        found: tuple[dict[str, Any], list[AssetLine]] = _outside_any_loop(lambda: asyncio.run(self._ask(both)))
        return found

    def assets(self) -> list[str]:
        """Names of all assets and sources, sorted. Raises the project's `Problem`."""
        entries = _outside_any_loop(lambda: asyncio.run(self._ask(lambda loader: loader.catalog())))
        return sorted(entry.name for entry in entries)

    def plan(self, flow: str | None = None, params: Mapping[str, object] | None = None) -> Forecast:
        """What a run of `flow` would do, as far as the graph and history tell. Runs nothing. Raises the project's `Problem`."""
        from tidemill.project.forecast import forecast  # lazily, as above

        built = _outside_any_loop(lambda: asyncio.run(self._ask(lambda loader: loader.build(flow, params or {}))))
        graph = built[0]
        durations, sizes = self._history(graph.flow)
        return forecast(graph, durations, sizes)

    async def _ask(self, question: Callable[[ProcessExecutor], Awaitable[Any]]) -> Any:
        executor = self.executor()
        try:
            await executor.start(lambda _: None)
            return await question(executor)
        finally:
            await executor.close(grace=0.0)

    def _history(self, flow: str) -> tuple[dict[str, float], dict[str, int]]:
        """Median seconds by place, and the sizes of mapped nodes in the last run that succeeded."""
        from tidemill.machine.states import RunState  # lazily, as above
        from tidemill.ports import Page, RunFilter
        from tidemill.project.forecast import node_key
        from tidemill.project.result import task_rows

        try:
            store = self.store()
        except NoHistory:
            return {}, {}
        try:
            last = store.runs(RunFilter(flow=flow, states=(RunState.SUCCEEDED,)), Page(limit=1))
            rows = task_rows(store, last[0].id) if last else ()
            return store.durations(flow), {node_key(row.place): row.size for row in rows if row.size is not None}
        finally:
            store.close()

    # ---------------------------------------------------------------- running

    async def run_flow(
        self, flow: str | None = None, params: Mapping[str, object] | None = None, *, key: str | None = None, origin: str = "python"
    ) -> RunResult:
        """Run a flow (None: the only one) to its end, recorded. The same `key` again gives the same run.

        Raises a `Problem` when the run cannot be made; a run that fails is returned, not raised.
        """
        from tidemill.project.result import RunResult as Made  # lazily, as above

        async with self.session(command=f"python: {flow or 'the only flow'}") as session:
            row = await session.create(await session.build(flow, params or {}), key=key, origin=origin)
            row = await session.drive(row)
        return Made(row, artifacts=self.artifacts, store=self.store)

    def run(self, flow: str | None = None, /, **params: object) -> RunResult:
        """Run a flow to its end, from a script or a notebook: `Project(".").run("nightly", day="2026-01-31")`.

        The same as `run_flow`, for callers that are not async themselves.
        """
        return _outside_any_loop(lambda: asyncio.run(self.run_flow(flow, params)))

    # ---------------------------------------------------------------- assets

    def plan_assets(self, *selection: str, exclude: Sequence[str] = (), refresh: bool = False, **params: object) -> Plan:
        """What bringing these assets up to date would compute, and why: `Project(".").plan_assets("+revenue")`. Without words: all.

        Computes and publishes no asset; the sources are looked at, and what was seen is recorded. Raises the project's `Problem`.
        """
        from tidemill.project.data import facade  # lazily, as above
        from tidemill.project.data.work import Wanted

        wanted = Wanted(selection, exclude, refresh)
        return _outside_any_loop(lambda: asyncio.run(facade.asset_plan(self, wanted, params, command="python: plan_assets")))[0]

    def run_assets(self, *selection: str, exclude: Sequence[str] = (), refresh: bool = False, **params: object) -> Update:
        """Bring these assets up to date (all, without words), recorded. Has the `plan`, and the `run`: None if there was nothing to do.

        A run that fails is returned, not raised. Raises a `Problem` when it cannot be made.
        """
        from tidemill.project.data import facade  # lazily, as above
        from tidemill.project.data.work import Wanted

        wanted = Wanted(selection, exclude, refresh)
        return _outside_any_loop(lambda: asyncio.run(facade.run_assets(self, wanted, params, command="python: run_assets")))

    def promote(
        self, source: str, *, to: str = "default", selection: Sequence[str] = (), only_plan: bool = False
    ) -> tuple[Promotion, bool]:
        """Let the environment `to` show what `source` shows, as far as it holds there; and whether pointers moved.

        Nothing is computed or copied. Raises `NoEnvironment`, `NothingToPromote`, and `Moved` if `to` changed meanwhile.
        """
        from tidemill.project.data import facade  # lazily, as above

        return _outside_any_loop(lambda: asyncio.run(facade.promoted(self, source, to, selection, only_plan=only_plan)))

    def load(self, asset: str, *, want: type | None = None, version: str = "") -> Any:
        """The value of an asset: of the version that the environment shows, or of the one that begins with `version`.

        `want` asks for another kind of table: a pandas or Polars DataFrame, a LazyFrame, an Arrow Table, or a Path.
        Raises `NoHistory`, `NeverBuilt`, `UnknownVersion`, and what loading raises.
        """
        from tidemill.project.data import facade  # lazily, as above

        return facade.load(self, asset, want=want, version=version)

    def versions(self, asset: str, *, limit: int = 100) -> list[RefRow]:
        """What the environment showed of an asset, newest first: with version, run, reason and time. Raises `NoHistory`."""
        from tidemill.project.data import facade  # lazily, as above

        return facade.past(self, asset, limit)


def _dotted(name: str) -> str:
    """A module of the settings by name: "flows/shop.py" is flows.shop."""
    return name.removesuffix(".py").strip("/").replace("/", ".") if name.endswith(".py") or "/" in name else name


def _outside_any_loop(work: Callable[[], T]) -> T:
    """Do `work` here; or, where a loop is running already (a notebook), in a thread while it waits."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    result: list[T] = []
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=inside, name="tidemill-run")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]

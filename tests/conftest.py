"""What every test may ask for: a real PostgreSQL, shared by all processes of one test run."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from private_postgres import Cluster, NoPostgres, folder_for, sweep

_SHARED = pytest.StashKey[Path]()
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder of this run's cluster: made by the process the user started, handed to xdist's workers."""
    handed = getattr(config, "workerinput", {}).get("postgres_root")
    if handed is None:
        sweep()
    config.stash[_SHARED] = Path(handed) if handed else folder_for(os.getpid())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """xdist's hook, which exists only where xdist is loaded."""
    node.workerinput["postgres_root"] = str(node.config.stash[_SHARED])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _SHARED in config.stash:
        Cluster(config.stash[_SHARED]).remove()


def _without_postgres(problem: NoPostgres) -> None:
    """A laptop may lack PostgreSQL; CI may not, or a whole suite would be green for never having run."""
    if os.environ.get("CI"):
        pytest.fail(str(problem), pytrace=False)
    pytest.skip(str(problem))


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Cluster:
    """The cluster of this test run: started by whoever asks first, stopped when the run ends."""
    cluster = Cluster(pytestconfig.stash[_SHARED])
    started = cluster.root / "started"
    with (cluster.root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not started.exists():
            try:
                cluster.make()
                cluster.start()
            except NoPostgres as problem:
                _without_postgres(problem)
            started.touch()
    return cluster


@pytest.fixture(scope="session")
def postgres_url(postgres: Cluster) -> str:
    """The SQLAlchemy URL of the cluster's maintenance database."""
    return postgres.url()


@pytest.fixture
def fresh_postgres(postgres: Cluster) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, dropped after the test whoever is still connected."""
    import psycopg  # an extra: only tests of this database need it

    name = f"t_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{next(_numbers)}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield postgres.url(name)
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def own_postgres() -> Iterator[Cluster]:
    """A cluster for one test alone: it may be stopped, crashed and started again."""
    cluster = Cluster(folder_for(os.getpid()))
    try:
        cluster.make()
        cluster.start()
    except NoPostgres as problem:
        cluster.remove()
        _without_postgres(problem)
    yield cluster
    cluster.remove()

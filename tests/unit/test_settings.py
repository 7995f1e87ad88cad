"""Settings: which wins over which, and messages that name file, key, expected type and nearest guess."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidemill.errors import BadSetting
from tidemill.settings import Settings, load_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_without_any_file_there_are_defaults(folder: Path) -> None:
    found = load_settings(folder, {})
    assert found.home == folder / ".tidemill"
    assert found.database_url == f"sqlite:///{folder}/.tidemill/tidemill.db"
    assert found.artifacts == str(folder / ".tidemill" / "artifacts")
    assert (found.workers, found.grace, found.environment, found.modules) == (0, 10.0, "default", ())


def test_there_are_at_most_25_settings() -> None:
    assert len(Settings.__struct_fields__) <= 25


def test_a_file_says_what_differs(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.tidemill]\nmodules = ["shop", "jobs.py"]\nhome = "state"\nworkers = 3\n'
        'grace = "1m"\nlog_quota = "2MB"\nworker_recycle_memory = 0\n[tool.tidemill.pools]\napi = 2\n'
    )
    found = load_settings(folder, {})
    assert (found.modules, found.workers, found.grace, found.log_quota, found.pools) == (
        ("shop", "jobs.py"),
        3,
        60.0,
        2_000_000,
        {"api": 2},
    )
    assert (found.home, found.worker_recycle_memory) == (folder / "state", 0)
    assert found.artifacts == str(folder / "state" / "artifacts")


def test_tidemill_toml_is_taken_before_pyproject(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.tidemill]\nworkers = 3\n")
    (folder / "tidemill.toml").write_text("workers = 5\n")
    assert load_settings(folder, {}).workers == 5


def test_a_pyproject_without_our_table_is_fine(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert load_settings(folder, {}).workers == 0


def test_an_environment_overrides_and_joins_tables(folder: Path) -> None:
    (folder / "tidemill.toml").write_text(
        'workers = 1\n[pools]\napi = 2\ndb = 1\n[resources.shop]\nurl = "a"\nport = 1\n'
        '[env.dev]\nworkers = 4\ndatabase_url = "postgresql://dev/x"\n[env.dev.pools]\napi = 9\n[env.dev.resources.shop]\nurl = "b"\n'
    )
    assert load_settings(folder, {}).workers == 1
    for found in (load_settings(folder, {}, "dev"), load_settings(folder, {"TIDEMILL_ENVIRONMENT": "dev"})):
        assert (found.environment, found.workers, found.database_url) == ("dev", 4, "postgresql://dev/x")
        assert (found.pools, found.resources) == ({"api": 9, "db": 1}, {"shop": {"url": "b", "port": 1}})


def test_variables_win(folder: Path) -> None:
    (folder / "tidemill.toml").write_text('workers = 1\ngrace = "5s"\n')
    env = {
        "TIDEMILL_WORKERS": "2", "TIDEMILL_HOME": "/var/tide", "TIDEMILL_DATABASE_URL": "postgresql://db/x",
        "TIDEMILL_ARTIFACTS": "s3://bucket/x", "TIDEMILL_MODULES": "a, b", "TIDEMILL_GRACE": "1m", "OTHER": "x", "TIDEMILL_LEASE": "",
    }  # fmt: skip
    found = load_settings(folder, env)
    assert (found.workers, found.home, found.database_url, found.artifacts) == (2, Path("/var/tide"), "postgresql://db/x", "s3://bucket/x")
    assert (found.modules, found.grace, found.lease) == (("a", "b"), 60.0, 15.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workrs = 3", r"tidemill.toml has the unknown setting 'workrs'(?s:.*)Known: artifacts, (?s:.*)Did you mean 'workers'"),
        ("zzz = 3", r"unknown setting 'zzz'(?s:.*)Take it out"),
        ('workers = "many"', r"tidemill.toml: workers takes a whole number of at least 0, and has 'many'"),
        ("workers = true", "workers takes a whole number of at least 0, and has True"),
        ("workers = -1", "workers takes a whole number of at least 0, and has -1"),
        ('grace = "soon"', "grace takes a duration such as '30s', '2h' or '7d', and has 'soon'"),
        ('log_quota = "much"', "log_quota takes an amount of bytes such as '300MB', and has 'much'"),
        ('modules = "shop"', "modules takes a list of module names or files, and has 'shop'"),
        ("[pools]\napi = 0", "pools takes a table of names and whole numbers of at least 1"),
        ("resources = 3", "resources takes a table of fields per resource, and has 3"),
        ("env = 3", "env takes a table per environment, and has 3"),
        ("[env]\ndev = 3", "env.dev takes a table, and has 3"),
        ("[env.dev]\nworkrs = 3", r"unknown setting 'env.dev.workrs'"),
        ("workers = ", r"tidemill.toml cannot be read(?s:.*)not valid TOML"),
    ],
)
def test_each_mistake_names_the_file_the_key_and_what_is_expected(folder: Path, text: str, message: str) -> None:
    (folder / "tidemill.toml").write_text(text)
    with pytest.raises(BadSetting, match=message) as caught:
        load_settings(folder, {})
    assert str(folder) in str(caught.value)


def test_a_wrong_variable_is_named(folder: Path) -> None:
    with pytest.raises(BadSetting, match=re.escape("The environment: TIDEMILL_WORKERS takes a whole number of at least 0, and has 'two'")):
        load_settings(folder, {"TIDEMILL_WORKERS": "two"})


def test_an_unknown_environment_is_told(folder: Path) -> None:
    (folder / "tidemill.toml").write_text("[env.dev]\nworkers = 1\n[env.prod]\n")
    with pytest.raises(BadSetting, match=r"(?s)no environment named 'prd'.*has dev, prod.*Did you mean 'prod'"):
        load_settings(folder, {}, "prd")


def test_a_table_in_the_wrong_place_is_told(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool]\ntidemill = 3\n")
    with pytest.raises(BadSetting, match=r"tool\.tidemill takes a table, and has 3"):
        load_settings(folder, {})

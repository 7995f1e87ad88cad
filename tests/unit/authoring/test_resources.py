"""Resources and secrets: filled by name, started once, closed in reverse, and never shown."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tidemill import Problem, Resource, flow, secret, task
from tidemill.authoring.building import build
from tidemill.authoring.definitions import scan
from tidemill.authoring.resources.resource import ResourceFailed, ResourceScope, overridden
from tidemill.authoring.resources.secret import MissingSecret, Secrets, read_env_file, use_secrets
from tidemill.errors import BadSetting
from unit.authoring.user_tasks import anything


class Shop(Resource):
    """A shop's API."""

    url: str
    token: str = secret("SHOP_TOKEN")
    port: int = secret("SHOP_PORT")


class Logged(Resource):
    name: str
    log: list[str] = []
    fails: bool = False

    def start(self) -> None:
        self.log.append(f"start {self.name}")
        if self.fails:
            raise OSError("no route")

    def close(self) -> None:
        self.log.append(f"close {self.name}")
        if self.name == "bad":
            raise OSError("stuck")


class Pooled(Resource):
    inner: Logged

    def __enter__(self) -> list[str]:
        self.inner.log.append("enter")
        return ["connection"]

    def __exit__(self, *error: object) -> None:
        self.inner.log.append("exit")


shop = Shop(url="https://shop.example")


@task
def pull(shop: Shop, page: int = 1) -> int:
    return page


@task
def pull_untyped(shop, page=1):
    return page


@task
def pull_from(warehouse: Shop) -> None: ...


@task
def wrong_type(shop: Logged) -> None: ...


@task
def other(shop: str) -> None: ...


@pytest.fixture
def known_secrets():
    told: list[str] = []
    before = use_secrets(Secrets({"SHOP_TOKEN": "hunter2", "SHOP_PORT": "8080"}, None, told=told.append))
    yield told
    use_secrets(before)


def test_a_parameter_is_filled_with_the_resource_of_its_name() -> None:
    @flow
    def load() -> None:
        pull()
        pull(shop, page=2)  # the one it gets anyway: written out for type checkers
        pull_untyped()
        pull.map(page=[1, 2])

    built = build(load)
    assert [(node.resources, tuple(node.args)) for node in built.graph.nodes] == [
        (("shop",), ()), (("shop",), ("page",)), (("shop",), ()), (("shop",), ("page",)),
    ]  # fmt: skip
    assert built.resources == {"shop": shop}


def test_the_resources_of_the_project_win_over_the_module() -> None:
    @flow
    def load() -> None:
        pull()

    mine = Shop(url="https://dev.example")
    assert build(load, resources={"shop": mine}).resources["shop"] is mine


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (pull_from, "There is no resource named 'warehouse'"),
        (wrong_type, "takes Logged for 'shop', and the resource of that name is a Shop"),
        (other, r"other\(\) needs 'shop'"),
        (
            lambda: anything(shop),
            "A Shop was passed to a task for 'value', and it is not the resource of that name(?s:.*)rename the parameter",
        ),
        (lambda: pull(Shop(url="x")), "A Shop was passed to a task for 'shop', and it is not the resource"),
    ],
)
def test_what_cannot_be_filled_is_named(call: object, text: str) -> None:
    @flow
    def load() -> None:
        call()  # type: ignore[operator]

    with pytest.raises(Problem, match=text):
        build(load)


def test_a_plain_call_takes_any_resource() -> None:
    assert pull(Shop(url="x"), 3) == 3


def test_a_secret_field_is_read_when_asked_and_has_its_declared_type(known_secrets: list[str]) -> None:
    assert known_secrets == []
    assert shop.token == "hunter2"
    assert shop.port == 8080
    assert known_secrets == ["hunter2", "8080"]


def test_no_text_of_a_resource_shows_a_secret(known_secrets: list[str]) -> None:
    given = Shop(url="u", token="given-secret")
    for text in (repr(shop), str(shop), f"{shop}", repr(given), str(given)):
        assert "hunter2" not in text
        assert "given-secret" not in text
    assert "secret('SHOP_TOKEN')" in repr(shop)
    assert "token='***'" in repr(given)
    assert b"hunter2" not in pickle.dumps(shop)


def test_a_secret_may_be_given_where_the_resource_is_made(known_secrets: list[str]) -> None:
    other = Shop(url=secret("SHOP_TOKEN"))
    assert other.url == "hunter2"
    assert "url=secret('SHOP_TOKEN')" in repr(other)


def test_a_secret_of_another_type_is_refused_without_being_shown() -> None:
    before = use_secrets(Secrets({"SHOP_PORT": "not-a-port"}, None))
    try:
        with pytest.raises(BadSetting, match=r"The secret 'SHOP_PORT' is no int, which Shop\.port takes") as caught:
            _ = shop.port
    finally:
        use_secrets(before)
    assert "not-a-port" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_come_from_the_environment_then_a_file_then_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=from dotenv\nB=from dotenv\nC=from dotenv\n")
    (tmp_path / "b").write_text("from file\n")
    secrets = Secrets({"A": "from env", "B_FILE": str(tmp_path / "b")}, tmp_path)
    assert [secrets.resolve(name) for name in "ABC"] == ["from env", "from file", "from dotenv"]


def test_a_dotenv_file_is_read_as_shells_write_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# note\nexport A=1234\nB = 'x # y'\nC=\"q\"  # note\nD=plain # note\nE=a=b\nbroken\n\n")
    assert read_env_file(path) == {"A": "1234", "B": "x # y", "C": "q", "D": "plain", "E": "a=b"}
    assert read_env_file(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({}, r"(?s)There is no secret named 'X'.*the environment variable X, a file named by X_FILE.*Put X=… into .env"),
        ({"X": "abc"}, r"(?s)'X' has fewer than 4 characters.*cannot be masked"),
        ({"X_FILE": "/nowhere/x"}, r"(?s)'X' cannot be read from its file.*No such file"),
    ],
)
def test_a_missing_secret_says_where_was_looked(env: dict[str, str], text: str) -> None:
    with pytest.raises(MissingSecret, match=text):
        Secrets(env, None).resolve("X")


def test_a_secret_is_given_by_name_not_by_value() -> None:
    with pytest.raises(MissingSecret, match="does not name a secret"):
        secret("hunter 2!")


def test_a_scope_starts_once_and_closes_in_reverse() -> None:
    log: list[str] = []
    a, b = Logged(name="a", log=log), Logged(name="b", log=log)
    a.log = b.log = log
    scope = ResourceScope({"a": a, "b": b})
    assert scope.get("a") is scope.get("a")
    scope.get("b")
    assert scope.close_all() == []
    assert log == ["start a", "start b", "close b", "close a"]
    assert scope.close_all() == []


def test_a_context_manager_is_entered_and_what_it_gives_is_handed_on() -> None:
    inner = Logged(name="inner")
    log = inner.log
    pooled = Pooled(inner=inner)
    pooled.inner.log = log
    scope = ResourceScope({"pooled": pooled})
    assert scope.get("pooled") == ["connection"]
    assert scope.close_all() == []
    assert log == ["start inner", "enter", "exit", "close inner"]


def test_errors_on_closing_are_collected_and_stop_nothing() -> None:
    log: list[str] = []
    good, bad = Logged(name="good"), Logged(name="bad")
    good.log = bad.log = log
    scope = ResourceScope({"good": good, "bad": bad})
    scope.get("good")
    scope.get("bad")
    assert [str(error) for error in scope.close_all()] == ["stuck"]
    assert log[-1] == "close good"


def test_a_resource_that_does_not_start_is_named() -> None:
    with pytest.raises(ResourceFailed, match=r"(?s)The resource 'db' \(Logged\) could not be started.*OSError: no route"):
        ResourceScope({"db": Logged(name="db", fails=True)}).get("db")
    with pytest.raises(Problem, match=r"(?s)There is no resource named 'lake'.*Did you mean 'lakes'"):
        ResourceScope({"lakes": Logged(name="db")}).get("lake")


def test_an_environment_replaces_fields() -> None:
    changed = overridden({"shop": shop}, {"shop": {"url": "https://dev.example"}})["shop"]
    assert (changed.url, shop.url) == ("https://dev.example", "https://shop.example")  # type: ignore[attr-defined]
    assert "secret('SHOP_TOKEN')" in repr(changed)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"shpo": {}}, "There is no resource named 'shpo'(?s:.*)Did you mean 'shop'"),
        ({"shop": {"ulr": "x"}}, "no field of the resource 'shop' named 'ulr'(?s:.*)Did you mean 'url'"),
        ({"shop": {"url": 3}}, "The field 'url' of the resource 'shop' cannot be what the settings say(?s:.*)valid string"),
    ],
)
def test_a_wrong_override_is_named(overrides: dict[str, dict[str, object]], text: str) -> None:
    with pytest.raises(Problem, match=text):
        overridden({"shop": shop}, overrides)


def test_two_resources_of_one_name_show_both_places() -> None:
    one, two = ModuleType("one"), ModuleType("two")
    one.db, two.db = Logged(name="a"), Logged(name="b")  # type: ignore[attr-defined]
    with pytest.raises(Problem, match=r"(?s)Two resources are named 'db'.*one \(as db\).*two \(as db\)"):
        scan([one, two])
    two.db = one.db  # type: ignore[attr-defined]  # imported from there: the same one
    assert [found.name for found in scan([one, two]).resources] == ["db"]
    assert sys.modules.get("one") is None

"""Environments: each shows its own pointers, and for all else what it stands on."""

from __future__ import annotations

import pytest

from conformance.store.rows import ref
from conformance.store.test_pointers import moves, shows
from tidemill.errors import BadSetting, Unknown
from tidemill.graph.assets import Environment
from tidemill.ports import Page, Store
from tidemill.store.problems import EnvironmentNeeded, EnvironmentTaken

DEFAULT = Environment(name="default")


def environments(store: Store, **parents: str) -> None:
    for name, parent in parents.items():
        store.create_environment(Environment(name=name, parent=parent))


def test_default_is_always_there_and_first(store: Store) -> None:
    assert store.environments() == [DEFAULT]
    environments(store, prod="", branch="default")
    assert [one.name for one in store.environments()] == ["default", "branch", "prod"]
    assert store.create_environment(DEFAULT) == DEFAULT
    store.publish([ref("a", "1", environment="default")])
    assert shows(store, "branch") == {"a": "1"}


def test_an_environment_reads_as_it_was_made(store: Store) -> None:
    made = Environment(name="prod", created_at=7.5, protected=True)
    assert store.create_environment(made) == made
    assert store.environments() == [DEFAULT, made]


def test_an_environment_shows_what_it_stands_on_until_it_says_something_itself(store: Store) -> None:
    environments(store, prod="", dev="prod", branch="dev")
    store.publish([ref("a", "1"), ref("b", "1"), ref("c", "1"), ref("d", "1", partition="x")])
    store.publish([ref("b", "2", environment="dev"), ref("c", "2", environment="dev"), ref("e", "2", environment="dev")])
    store.publish([ref("c", "3", environment="branch"), ref("d", "3", environment="branch", partition="y")])
    assert shows(store, "branch") == {"a": "1", "b": "2", "c": "3", "d x": "1", "d y": "3", "e": "2"}
    assert shows(store, "dev") == {"a": "1", "b": "2", "c": "2", "d x": "1", "e": "2"}
    assert shows(store, "prod") == {"a": "1", "b": "1", "c": "1", "d x": "1"}
    assert [found.environment for found in store.refs("branch", ["a", "b", "c"])] == ["prod", "dev", "branch"]


def test_what_an_environment_does_not_say_moves_with_what_it_stands_on(store: Store) -> None:
    environments(store, prod="", dev="prod")
    store.publish([ref("a", "1"), ref("b", "1")])
    store.publish([ref("b", "1", environment="dev")])
    store.publish([ref("a", "2"), ref("b", "2")])
    assert shows(store, "dev") == {"a": "2", "b": "1"}


def test_the_first_move_in_an_environment_says_what_was_shown_until_then(store: Store) -> None:
    environments(store, prod="", dev="prod", branch="dev")
    store.publish([ref("a", "1")])
    store.publish([ref("a", "2", environment="branch"), ref("a", "3", environment="branch")])
    assert moves(store, "a", environment="branch") == [("1", "2"), ("2", "3")]
    assert moves(store, "a", environment="prod") == [("", "1")]


def test_an_environment_that_nobody_made_shows_only_its_own(store: Store) -> None:
    store.publish([ref("a", "1", environment="default"), ref("b", "1", environment="loose")])
    assert (shows(store, "loose"), shows(store, "none")) == ({"b": "1"}, {})


def test_to_make_an_environment_again_on_the_same_parent_changes_nothing(store: Store) -> None:
    environments(store, prod="")
    first = store.create_environment(Environment(name="dev", parent="prod", created_at=1.0))
    assert store.create_environment(Environment(name="dev", parent="prod", created_at=2.0, protected=True)) == first
    assert len(store.environments()) == 3


def test_an_environment_does_not_change_its_parent(store: Store) -> None:
    environments(store, prod="", dev="prod")
    for name, parent in (("dev", "default"), ("dev", ""), ("default", "dev")):
        with pytest.raises(EnvironmentTaken):
            store.create_environment(Environment(name=name, parent=parent))
    assert [(one.name, one.parent) for one in store.environments()] == [("default", ""), ("dev", "prod"), ("prod", "")]


@pytest.mark.parametrize("parent", ["prdo", "dev"])
def test_an_environment_stands_on_one_that_is_there_and_never_on_itself(store: Store, parent: str) -> None:
    environments(store, prod="")
    with pytest.raises(Unknown, match=f"There is no environment named '{parent}'"):
        store.create_environment(Environment(name="dev", parent=parent))
    assert [one.name for one in store.environments()] == ["default", "prod"]


@pytest.mark.parametrize("name", ["", "a\0b", "\udcff"])
def test_a_name_that_is_no_text_is_refused(store: Store, name: str) -> None:
    with pytest.raises(BadSetting):
        store.create_environment(Environment(name=name))


def test_a_dropped_environment_takes_its_pointers_with_it_and_leaves_its_history(store: Store) -> None:
    environments(store, prod="", dev="prod")
    store.publish([ref("a", "1")])
    store.publish([ref("a", "2", environment="dev")])
    store.drop_environment("dev")
    assert [one.name for one in store.environments()] == ["default", "prod"]
    assert (shows(store, "dev"), shows(store, "prod")) == ({}, {"a": "1"})
    assert moves(store, "a", environment="dev") == [("1", "2")]
    environments(store, dev="prod")
    assert shows(store, "dev") == {"a": "1"}


def test_an_environment_that_others_stand_on_is_not_dropped(store: Store) -> None:
    environments(store, prod="", dev="prod", test="prod")
    store.publish([ref("a", "1")])
    with pytest.raises(EnvironmentNeeded, match="dev, test"):
        store.drop_environment("prod")
    assert shows(store, "dev") == {"a": "1"}
    for name in ("dev", "test", "prod"):
        store.drop_environment(name)
    assert store.environments() == [DEFAULT]


def test_default_is_not_dropped_and_what_is_not_there_is_unknown(store: Store) -> None:
    environments(store, prod="")
    with pytest.raises(EnvironmentNeeded, match="always there"):
        store.drop_environment("default")
    with pytest.raises(Unknown, match="prod"):
        store.drop_environment("prdo")


def test_environments_are_made_without_a_row_for_what_they_show(store: Store) -> None:
    environments(store, prod="")
    store.publish([ref(f"a{n}", "1") for n in range(100)])
    environments(store, dev="prod")
    assert len(store.refs("dev")) == 100
    assert {found.environment for found in store.refs("dev")} == {"prod"}
    assert store.versions("a7", Page(), environment="dev") == []

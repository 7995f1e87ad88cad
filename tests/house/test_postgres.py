"""The database that tests run on is a real one, and each test has it to itself."""

from __future__ import annotations

import pytest
import sqlalchemy as sa


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_every_test_gets_an_empty_database_that_is_durable(fresh_postgres: str, turn: int) -> None:
    engine = sa.create_engine(fresh_postgres)
    with engine.begin() as connection:
        assert connection.scalar(sa.text("select count(*) from pg_tables where schemaname = 'public'")) == 0
        connection.execute(sa.text("create table mark (n int)"))
        assert connection.scalar(sa.text("show fsync")) == "on"
    engine.dispose()


def test_a_crashed_server_keeps_what_it_acknowledged(own_postgres) -> None:
    engine = sa.create_engine(own_postgres.url())
    with engine.begin() as connection:
        connection.execute(sa.text("create table mark as select 7 as n"))
    engine.dispose()
    own_postgres.stop("immediate")
    own_postgres.start()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select n from mark")) == 7
    engine.dispose()

"""The horizon stays below what sessions of roles write that PostgreSQL hides from this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import Connection

from app.infra.db import UnitOfWork, engine
from app.sync import queries
from app.sync.hidden_writers import HiddenWriters, Look, hidden_writers
from tests.factories import run, scalar
from tests.processes import eventually

_SECOND = 1_000 << 12
_HOUR = 3_600 * _SECOND


@pytest.fixture
def reader(app: Flask) -> Iterator[UnitOfWork]:
    """A unit, each statement of which is a transaction, of a role that sees its own sessions only."""
    run("CREATE ROLE onlooker")
    run("GRANT USAGE, UPDATE ON SEQUENCE clock_floor TO onlooker")
    with engine().connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("SET ROLE onlooker"))
        hidden_writers.cache_clear()
        try:
            yield UnitOfWork(connection)
        finally:
            hidden_writers.cache_clear()
            connection.invalidate()
    run("DROP OWNED BY onlooker")
    run("DROP ROLE onlooker")


@contextmanager
def writing() -> Iterator[tuple[Connection, int]]:
    """A transaction of another role that has written, and a revision that it has drawn."""
    with engine().connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE written (number integer) ON COMMIT DROP"))
        drawn = connection.execute(text("SELECT next_message_id()")).scalar_one()
        eventually(lambda: bool(scalar("SELECT message_id_at(clock_timestamp()) > :drawn", drawn=drawn)))
        yield connection, drawn
        connection.rollback()


def test_what_a_hidden_session_has_drawn_is_past_the_horizon_until_it_ends(reader: UnitOfWork) -> None:
    before = queries.horizon(reader)
    with writing() as (_, drawn):
        # Not by much: what was there before is not answered again for long.
        assert before - _HOUR < queries.horizon(reader) < drawn
        assert queries.horizon(reader) < drawn
    # Other sessions of that role may be writing, too.
    eventually(lambda: queries.horizon(reader) > drawn)


def test_a_hidden_session_that_wrote_before_the_first_look_is_taken_to_have_written_for_an_hour(
    reader: UnitOfWork,
) -> None:
    with writing() as (_, drawn):
        assert drawn - 2 * _HOUR < queries.horizon(reader) < drawn - _HOUR
    # Other sessions of that role may be writing, too.
    eventually(lambda: queries.horizon(reader) > drawn)


def test_a_hidden_session_that_writes_nothing_holds_nothing_back(reader: UnitOfWork) -> None:
    with engine().connect() as connection:
        now = connection.execute(text("SELECT message_id_at(clock_timestamp())")).scalar_one()
        eventually(lambda: queries.horizon(reader) > now)


def test_each_look_that_is_older_than_all_who_write_is_remembered() -> None:
    writers = HiddenWriters()
    assert writers.since(Look(0, 100), None) == 0
    # 100 has begun; the looks that follow are remembered for whoever comes after it.
    assert [writers.since(Look(n * _SECOND, 101 + n), 100) for n in range(1, 4)] == [0, 0, 0]
    # 100 has ended, and 103 began after the look at which 103 was the next.
    assert writers.since(Look(9 * _SECOND, 110), 103) == 2 * _SECOND
    # It goes on, and of a quiet moment nothing is left to remember.
    assert writers.since(Look(99 * _SECOND, 111), 103) == 2 * _SECOND
    assert writers.since(Look(100 * _SECOND, 111), None) == 100 * _SECOND
    assert writers.since(Look(200 * _SECOND, 120), 115) == 100 * _SECOND


def test_a_look_that_comes_late_and_knows_of_an_older_writer_is_not_past_it() -> None:
    writers = HiddenWriters()
    writers.since(Look(2 * _HOUR, 100), None)
    assert writers.since(Look(2 * _HOUR - _SECOND, 99), 90) == _HOUR - _SECOND


def test_a_busy_hidden_role_is_remembered_in_bounded_memory() -> None:
    writers = HiddenWriters()
    writers.since(Look(0, 100), None)
    for n in range(1, 5_000):
        assert writers.since(Look(n * _SECOND, 100 + n), 100) == 0
    assert len(writers._looks) <= 1_000
    since = writers.since(Look(5_000 * _SECOND, 5_100), 4_000)
    assert 3_000 * _SECOND < since <= 3_900 * _SECOND

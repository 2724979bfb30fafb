"""Reading costs one round trip a statement, and leaves a connection as every unit of work needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Never
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection

from app.errors import NotFound, SessionRevoked
from app.infra import db
from app.infra.connections import connect, make_engine
from app.infra.db import Prepared, Proviso, UnitOfWork, reading
from config import settings
from tests import counting
from tests.counting import counted_statements
from tests.processes import eventually

pytestmark = pytest.mark.usefixtures("app", "one_connection")

_OWN = text("SELECT pg_backend_pid()")
_COUNT = Prepared("count_up", ("integer",), "SELECT n, n FROM generate_series(1, $1) n ORDER BY n DESC")
_LOCK_AND_NOTE = Prepared(
    "lock_and_note",
    ("bigint", "text"),
    "SELECT pg_advisory_xact_lock($1), set_config('paperplane.noted', $2, true)",
)
_SETTINGS = "current_setting('paperplane.noted'), current_setting('enable_sort')"
_NOTED = Prepared(
    "noted",
    ("text",),
    f"SELECT (SELECT count(*) FROM chats WHERE name = $1), {_SETTINGS}",
    setting="enable_sort = off",
    after=_LOCK_AND_NOTE,
)
_HOLDS = Prepared("holds", ("boolean",), "SELECT 1 WHERE $1")


def proviso(holds: bool) -> Proviso:
    """One that holds or does not."""

    def ask(connection: Connection) -> None:
        if _HOLDS.row(connection, holds) is None:
            raise SessionRevoked

    return Proviso("if_so", "{0}", ("boolean",), (holds,), ask)


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A pool of one connection, which all that happens uses in turn."""
    made = make_engine(settings().model_copy(update={"db_pool_size": 1, "db_pool_overflow": 0}))
    for module in (db, counting):
        monkeypatch.setattr(module, "engine", lambda: made)
    yield made
    made.dispose()


def test_a_reading_sends_nothing_but_its_statements() -> None:
    latest = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    with closing(connect(settings())) as watching, watching.cursor() as cursor:
        watching.autocommit = True
        with reading() as unit:
            own = unit.execute(_OWN).scalar_one()
        with reading():
            cursor.execute(latest, [own])
            assert cursor.fetchone() == (_OWN.text,)
        cursor.execute(latest, [own])
        assert cursor.fetchone() == (_OWN.text,)


def test_after_a_reading_a_unit_of_work_is_all_or_nothing(one_connection: Engine) -> None:
    name = f"half done {uuid4()}"
    with reading() as unit:
        own = unit.execute(_OWN).scalar_one()
    with one_connection.connect() as connection:
        unit = UnitOfWork(connection)
        assert unit.execute(_OWN).scalar_one() == own
        unit.execute(text("INSERT INTO chats (id, type, name) VALUES (next_message_id(0), 'group', :n)"), {"n": name})
        connection.rollback()
    with reading() as unit:
        assert unit.execute(text("SELECT count(*) FROM chats WHERE name = :n"), {"n": name}).scalar_one() == 0


def test_a_proviso_costs_no_round_trip_where_there_are_rows_and_one_where_there_are_none() -> None:
    with counted_statements() as statements:
        for rows in (3, 0):
            with reading(proviso(True)) as unit:
                assert _COUNT.rows(unit.connection, rows) == [(n, n) for n in range(rows, 0, -1)]
                assert _COUNT.row(unit.connection, 1) == (1, 1)
    assert [statement.split()[1] for statement in statements] == [
        *("count_up_if_so", "count_up"),
        *("count_up_if_so", "holds", "count_up"),
    ]


def test_a_statement_after_another_sees_its_settings_and_what_was_committed_while_it_ran() -> None:
    name, key = f"committed meanwhile {uuid4()}", uuid4().int % 2**31
    found: list[tuple[Any, ...] | None] = []

    def read() -> None:
        with counted_statements() as statements, reading(proviso(True)) as unit:
            found.append(_NOTED.row(unit.connection, key, "a note", name))
        assert len(statements) == 1

    with closing(connect(settings())) as writer, writer.cursor() as cursor:

        def is_waited_for() -> bool:
            cursor.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s", [key])
            return cursor.fetchone() is not None

        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
        reader = threading.Thread(target=read)
        reader.start()
        eventually(is_waited_for)
        cursor.execute("INSERT INTO chats (id, type, name) VALUES (next_message_id(0), 'group', %s)", [name])
        writer.commit()
        reader.join()
    assert found == [(1, "a note", "off")]


def test_what_the_statement_before_another_has_set_ends_with_the_two() -> None:
    with reading() as unit:
        assert _NOTED.row(unit.connection, 1, "a note", "no name") == (0, "a note", "off")
        assert tuple(unit.execute(text(f"SELECT {_SETTINGS}")).one()) == ("", "on")


def answer_with_rows(unit: UnitOfWork) -> object:
    return _COUNT.rows(unit.connection, 3)


def answer_without_rows(unit: UnitOfWork) -> object:
    return _COUNT.rows(unit.connection, 0)


def answer_by_a_statement_of_its_own(unit: UnitOfWork) -> object:
    return unit.execute(_OWN).scalar_one()


def answer_without_a_statement(_unit: UnitOfWork) -> object:
    return "something"


def refuse(_unit: UnitOfWork) -> Never:
    raise NotFound


@pytest.mark.parametrize(
    "act",
    [answer_with_rows, answer_without_rows, answer_by_a_statement_of_its_own, answer_without_a_statement, refuse],
    ids=lambda act: act.__name__,
)
def test_a_proviso_that_does_not_hold_is_told_in_place_of_any_answer(act: Callable[[UnitOfWork], object]) -> None:
    for _ in range(2):
        with pytest.raises(SessionRevoked), reading(proviso(False)) as unit:
            act(unit)
        # It stays with its reading: the next one on this connection is not asked.
        with reading() as unit:
            assert _COUNT.rows(unit.connection, 1) == [(1, 1)]


def test_a_proviso_leaves_with_a_reading_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), reading(proviso(False)):
        raise ZeroDivisionError
    with reading() as unit:
        assert _COUNT.rows(unit.connection, 1) == [(1, 1)]

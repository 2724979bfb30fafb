"""Reading costs one round trip a statement, and leaves a connection as every unit of work needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from app.infra import db
from app.infra.db import UnitOfWork, connect, make_engine, reading
from config import settings

pytestmark = pytest.mark.usefixtures("app", "one_connection")

_OWN = text("SELECT pg_backend_pid()")


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A pool of one connection, which all that happens uses in turn."""
    made = make_engine(settings().model_copy(update={"db_pool_size": 1, "db_pool_overflow": 0}))
    monkeypatch.setattr(db, "engine", lambda: made)
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

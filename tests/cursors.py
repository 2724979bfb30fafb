"""Cursors of the tests' own, under all that this process asks of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2 import extensions
from sqlalchemy import Engine, event

from app.infra.rested import rested


@contextmanager
def cursors_of(engine: Engine, kind: type[extensions.cursor]) -> Iterator[None]:
    """Whatever takes a connection while the block runs has cursors of this kind."""

    def equip(connection: extensions.connection, *_: object) -> None:
        connection.cursor_factory = kind

    rested(engine).clear()
    event.listen(engine, "checkout", equip)
    try:
        yield
    finally:
        event.remove(engine, "checkout", equip)
        rested(engine).clear()

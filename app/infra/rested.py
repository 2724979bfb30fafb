"""Connections between two requests that need no transaction of several statements: a few rest beside the pool, ready.

SQLAlchemy's pool costs a reading as much as its small statement does: a connection that goes back is looked over, and
so is one that comes out. What rests here is out of the pool, so it gives way as soon as others may need it there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from psycopg2 import extensions
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from app.errors import AppError

_MOST = 4


class Rested:
    """Those of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connections: deque[Connection] = deque()
        event.listen(engine, "engine_disposed", lambda *_: self.clear())
        # Where one is broken PostgreSQL was away, and all others are broken too.
        event.listen(engine, "invalidate", lambda *_: self.clear())

    def __len__(self) -> int:
        return len(self._connections)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection on which each statement is its own transaction."""
        connection = self._take()
        try:
            yield connection
        except AppError:
            self._give_back(connection)
            raise
        except BaseException:
            # What it is in the midst of, the pool finds out.
            connection.close()
            raise
        self._give_back(connection)

    def give_way(self) -> None:
        """Before somebody takes one from the pool: gives it one back where it has none ready."""
        if self._connections and self._is_scarce():
            self._close_one()

    def clear(self) -> None:
        """Puts all into the pool, which closes them where they are broken."""
        while self._connections:
            self._close_one()

    def _take(self) -> Connection:
        try:
            return self._connections.pop()
        except IndexError:
            pass
        connection = self._engine.connect()
        # SQLAlchemy's own AUTOCOMMIT would send a SET each time a connection goes back to the pool.
        _driver(connection).autocommit = True
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.in_transaction():
            connection.rollback()
        if len(self._connections) >= _MOST or self._is_scarce() or _driver(connection).closed:
            connection.close()
        else:
            self._connections.append(connection)

    def _is_scarce(self) -> bool:
        pool = self._engine.pool
        return not isinstance(pool, QueuePool) or pool.checkedout() >= pool.size()

    def _close_one(self) -> None:
        try:
            self._connections.pop().close()
        except IndexError:  # Another thread was faster.
            return


def _driver(connection: Connection) -> extensions.connection:
    driver: extensions.connection = connection.connection.driver_connection  # type: ignore[assignment]
    return driver


@lru_cache(maxsize=8)
def rested(engine: Engine) -> Rested:
    """Those of an engine of this process."""
    return Rested(engine)

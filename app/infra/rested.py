"""Connections for what needs no transaction of several statements: a few rest here between two uses, ready.

SQLAlchemy's pool costs a reading as much as its small statement does: a connection that goes back is looked over, and
so is one that comes out. What rests here is out of the pool, so it gives way as soon as others may need it there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import NamedTuple

from psycopg2 import extensions
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from app.errors import AppError

_MOST = 4
# Seconds after which one goes back: only the pool sees to it that none becomes too old.
_LONGEST = 60.0


class _Taken(NamedTuple):
    """A connection that was taken from the pool; after how many were broken, and when, in monotonic seconds."""

    connection: Connection
    driver: extensions.connection
    generation: int
    since: float


class Rested:
    """Those of one engine. Of several threads one may wait for a connection in vain while another one rests."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resting: deque[_Taken] = deque()
        self._generation = 0
        event.listen(engine, "engine_disposed", lambda *_: self._begin_anew())
        event.listen(engine, "invalidate", lambda *_: self._begin_anew())

    def __len__(self) -> int:
        return len(self._resting)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection on which each statement is its own transaction."""
        taken = self._take()
        try:
            yield taken.connection
        except AppError:
            self._give_back(taken)
            raise
        except BaseException:
            # What it is in the midst of, the pool finds out.
            self._close(taken)
            raise
        self._give_back(taken)

    def give_way(self) -> None:
        """Before somebody takes one from the pool: gives it one back where it has none ready."""
        if self._resting and self._is_scarce() and (taken := self._latest()) is not None:
            self._close(taken)

    def clear(self) -> None:
        """Puts all into the pool."""
        while (taken := self._latest()) is not None:
            self._close(taken)

    def _begin_anew(self) -> None:
        """Those that were taken before may be broken like the one that was found to be: the pool sees to them."""
        self._generation += 1
        self.clear()

    def _take(self) -> _Taken:
        while (taken := self._latest()) is not None:
            if not self._is_old(taken):
                return taken
            self._close(taken)
        # To make one may take long, and what happens meanwhile is about it too.
        generation = self._generation
        connection = self._engine.connect()
        driver: extensions.connection = connection.connection.driver_connection  # type: ignore[assignment]
        # SQLAlchemy's own AUTOCOMMIT would send a SET each time a connection goes back to the pool.
        driver.autocommit = True
        return _Taken(connection, driver, generation, time.monotonic())

    def _give_back(self, taken: _Taken) -> None:
        # One that SQLAlchemy has given up would be another one, with transactions, as soon as it is asked for anything.
        is_broken = taken.connection.invalidated or taken.driver.closed
        if is_broken or len(self._resting) >= _MOST or self._is_scarce() or self._is_old(taken):
            self._close(taken)
            return
        if taken.connection.in_transaction():
            taken.connection.rollback()
        self._resting.append(taken)

    def _is_old(self, taken: _Taken) -> bool:
        return taken.generation != self._generation or time.monotonic() - taken.since > _LONGEST

    def _is_scarce(self) -> bool:
        pool = self._engine.pool
        return not isinstance(pool, QueuePool) or pool.checkedout() >= pool.size()

    def _latest(self) -> _Taken | None:
        try:
            return self._resting.pop()
        except IndexError:
            return None

    def _close(self, taken: _Taken) -> None:
        if taken.driver.closed and not taken.connection.invalidated:
            # The statements that broke it went past SQLAlchemy. By one that does not, it learns that PostgreSQL may
            # have been away, and renews all that were made before, one by one as they are taken.
            with suppress(DBAPIError):
                taken.connection.exec_driver_sql("SELECT")
        taken.connection.close()


@lru_cache(maxsize=8)
def rested(engine: Engine) -> Rested:
    """Those of an engine of this process."""
    return Rested(engine)

"""Connections for what needs no transaction of several statements: a few rest here between two uses, ready.

SQLAlchemy's pool costs a reading as much as its small statement does: a connection that goes back is looked over, and
so is one that comes out. What rests here is out of the pool, so it gives way as soon as others may need it there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from psycopg2 import extensions
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from app.errors import AppError

_MOST = 4
# Seconds after which one goes back: only the pool sees to it that none becomes too old.
_LONGEST = 60.0


class _Taken(NamedTuple):
    """A connection that was taken from the pool; of how many pools before, and when, in monotonic seconds."""

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
        event.listen(engine, "engine_disposed", lambda *_: self.clear())
        event.listen(engine, "invalidate", lambda *_: self.clear())

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
        if self._resting and self._is_scarce():
            self._close_latest()

    def clear(self) -> None:
        """Puts all into the pool."""
        while self._resting:
            self._close_latest()

    def _take(self) -> _Taken:
        while self._resting:
            taken = self._resting.pop()
            if not self._is_old(taken):
                return taken
            self._close(taken)
        connection = self._engine.connect()
        driver: extensions.connection = connection.connection.driver_connection  # type: ignore[assignment]
        # SQLAlchemy's own AUTOCOMMIT would send a SET each time a connection goes back to the pool.
        driver.autocommit = True
        return _Taken(connection, driver, self._generation, time.monotonic())

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

    def _close_latest(self) -> None:
        try:
            taken = self._resting.pop()
        except IndexError:  # Another thread was faster.
            return
        self._close(taken)

    def _close(self, taken: _Taken) -> None:
        if taken.driver.closed:
            if not taken.connection.invalidated:
                taken.connection.invalidate()
            if taken.generation == self._generation:
                # PostgreSQL was away, so all that were made before are broken, and none of them says so.
                self._generation += 1
                self._engine.dispose()
        taken.connection.close()


@lru_cache(maxsize=8)
def rested(engine: Engine) -> Rested:
    """Those of an engine of this process."""
    return Rested(engine)

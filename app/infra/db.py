"""PostgreSQL: one pool a process, one unit of work a request, prepared statements for what is hot.

Works the same under gevent (the wait callback lets other greenlets run during a query) and in plain threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psycopg2
import sqlalchemy
from psycopg2 import errors as pg_errors
from psycopg2 import extensions
from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, CursorResult, Engine, make_url

from app.errors import Unavailable
from config import Settings, settings

_RETRYABLE = (pg_errors.SerializationFailure, pg_errors.DeadlockDetected, pg_errors.LockNotAvailable)


class UnitOfWork:
    """One transaction, and what happens only once it has committed.

    Services execute statements through it and never commit; the door that opened it does.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after_commit: list[Callable[[], None]] = []

    def execute(
        self, statement: sqlalchemy.Executable, parameters: Mapping[str, Any] | None = None
    ) -> CursorResult[Any]:
        """Executes a SQLAlchemy statement with named parameters."""
        return self.connection.execute(statement, parameters)

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Holds an effect (an event, a job) back until the transaction has committed; drops it otherwise."""
        self._after_commit.append(effect)

    def run_effects(self) -> None:
        """Runs the held effects, in their order; for the door, after the commit."""
        effects, self._after_commit = self._after_commit, []
        for effect in effects:
            effect()


class Prepared:
    """A statement that each connection plans once (server-side PREPARE) and then only executes.

    `types` are PostgreSQL's types of `$1, $2, ...`; parameters are given by position. Rows come back as tuples.
    """

    def __init__(self, name: str, types: Sequence[str], sql: str) -> None:
        self.name = name
        declared, given = ", ".join(types), ", ".join(f"%s::{kind}" for kind in types)
        self._prepare = f"PREPARE {name} ({declared}) AS {sql}" if types else f"PREPARE {name} AS {sql}"
        self.execute_sql = f"EXECUTE {name} ({given})" if types else f"EXECUTE {name}"

    def prepare(self, cursor: extensions.cursor, known: set[str]) -> None:
        """Prepares the statement on this connection unless `known` (the connection's own set) has it."""
        if self.name not in known:
            cursor.execute(self._prepare)
            known.add(self.name)

    def rows(self, connection: Connection, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows of one execution."""
        with raw_cursor(connection) as (cursor, known):
            self.prepare(cursor, known)
            cursor.execute(self.execute_sql, parameters)
            return cursor.fetchall()

    def row(self, connection: Connection, *parameters: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.rows(connection, *parameters)
        return found[0] if found else None


@contextmanager
def raw_cursor(connection: Connection) -> Iterator[tuple[extensions.cursor, set[str]]]:
    """The driver's cursor below a SQLAlchemy connection, and the names of what is prepared on it."""
    raw = connection.connection
    known: set[str] = raw.info.setdefault("prepared", set())
    driver: extensions.connection = raw.driver_connection  # type: ignore[assignment]
    with driver.cursor() as cursor:
        yield cursor, known


@contextmanager
def unit_of_work() -> Iterator[UnitOfWork]:
    """One transaction: commits at the end, rolls back on any error, runs the held effects after the commit.

    Raises Unavailable where PostgreSQL cannot be reached, is restarting, or a lock or statement took too long.
    """
    with translated_errors(), engine().begin() as connection:
        unit = UnitOfWork(connection)
        yield unit
    unit.run_effects()


@contextmanager
def reading() -> Iterator[UnitOfWork]:
    """For requests that only read: each statement is its own transaction, which saves two round trips."""
    with translated_errors(), engine().connect() as connection:
        # SQLAlchemy's own AUTOCOMMIT sends a SET each time a connection goes back, which would cost one of the two.
        driver: extensions.connection = connection.connection.driver_connection  # type: ignore[assignment]
        driver.autocommit = True
        yield UnitOfWork(connection)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turns what a client can only wait out into Unavailable (503)."""
    try:
        yield
    except (exc.TimeoutError, exc.OperationalError, exc.InterfaceError, psycopg2.OperationalError) as error:
        raise Unavailable(retry_after=1) from error
    except (psycopg2.InterfaceError, *_RETRYABLE) as error:
        raise Unavailable(retry_after=1) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, _RETRYABLE):
            raise Unavailable(retry_after=1) from error
        raise


@lru_cache(maxsize=1)
def engine() -> Engine:
    """The engine and pool of this process; made at first use, so after a fork."""
    return make_engine(settings())


def make_engine(current: Settings) -> Engine:
    """An engine whose sessions have time-outs for statements, locks and idle transactions."""
    made = sqlalchemy.create_engine(
        current.database,
        creator=lambda: connect(current),
        pool_size=current.db_pool_size,
        max_overflow=current.db_pool_overflow,
        pool_timeout=current.db_pool_timeout,
        pool_use_lifo=True,
        pool_recycle=1800,
        # Errors are logged; what people wrote is not.
        hide_parameters=True,
    )
    event.listen(made, "checkout", _begin_transactions)
    return made


def _begin_transactions(driver: extensions.connection, *_: object) -> None:
    """A connection comes out of the pool with transactions, however it was used before."""
    driver.autocommit = False


def connect(current: Settings) -> extensions.connection:
    """A new connection of the driver, with the time-outs of the settings; raises psycopg2.OperationalError."""
    url = make_url(current.database)
    timeouts = {
        "statement_timeout": current.db_statement_timeout,
        "lock_timeout": current.db_lock_timeout,
        "idle_in_transaction_session_timeout": current.db_idle_in_transaction_timeout,
    }
    options = " ".join(f"-c {name}={seconds * 1000}" for name, seconds in timeouts.items())
    # Prepared statements are planned once: planning costs more than running them, and with arrays as parameters
    # PostgreSQL would never stop planning anew (1,450 against 490 µs of its time for a send). A plan made while a table
    # (or the next part of messages) is empty must be good when it is full, so none of them reads whole tables.
    options += " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
    arguments = url.translate_connect_args(username="user", database="dbname") | dict(url.query)
    with _connect_deadline(current.db_connect_timeout):
        connection: extensions.connection = psycopg2.connect(
            **arguments,
            connect_timeout=current.db_connect_timeout,
            options=f"{options} -c timezone=UTC",
            application_name="paperplane",
        )
    return connection


@contextmanager
def _connect_deadline(seconds: int) -> Iterator[None]:
    """Bounds a connect under gevent, where the driver ignores connect_timeout."""
    if extensions.get_wait_callback() is None:
        yield
        return
    import gevent

    with gevent.Timeout(seconds, psycopg2.OperationalError("connect timed out")):
        yield


def install_gevent_wait() -> None:
    """Lets other greenlets run while the driver waits for PostgreSQL; once per process, after monkey-patching."""
    from gevent.socket import wait_read, wait_write

    # PostgreSQL ends a statement that takes too long; where it cannot even do that (hung, or its host is lost) we do.
    longest = settings().db_statement_timeout + settings().db_lock_timeout

    def silent() -> psycopg2.OperationalError:
        return psycopg2.OperationalError(f"PostgreSQL did not answer within {longest} s")

    def wait(connection: extensions.connection) -> None:
        while True:
            state = connection.poll()
            if state == extensions.POLL_OK:
                return
            if state == extensions.POLL_READ:
                wait_read(connection.fileno(), timeout=longest, timeout_exc=silent())
            elif state == extensions.POLL_WRITE:
                wait_write(connection.fileno(), timeout=longest, timeout_exc=silent())
            else:
                raise psycopg2.OperationalError(f"unexpected poll state {state}")

    extensions.set_wait_callback(wait)

"""PostgreSQL: one pool a process, one unit of work a request, prepared statements for what is hot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg2
import sqlalchemy
from psycopg2 import errors as pg_errors
from psycopg2 import extensions
from sqlalchemy import exc
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.pool import PoolProxiedConnection

from app.errors import AppError, Unavailable
from app.infra.connections import make_engine
from app.infra.rested import rested
from config import settings

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
        _ask_proviso(self.connection)
        return self.connection.execute(statement, parameters)

    def relax_durability(self) -> None:
        """Lets this transaction commit without waiting for the disk: for what can be redone, together with its mark.

        The log of the database is in order, so after a crash there is no mark without what it vouches for.
        """
        self.connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Holds an effect (an event, a job) back until the transaction has committed; drops it otherwise."""
        self._after_commit.append(effect)

    def run_effects(self) -> None:
        """Runs the held effects, in their order; for the door, after the commit."""
        effects, self._after_commit = self._after_commit, []
        for effect in effects:
            effect()


class Proviso(NamedTuple):
    """What must hold for a reading to go on: asked in the round trip of its first statement instead of one of its own.

    `condition` is SQL about `{0}, {1}, ...`, which are `parameters` of `types`; `name` is that of the condition. `ask`
    asks by itself, and raises what callers are told where it does not hold.
    """

    name: str
    condition: str
    types: Sequence[str]
    parameters: Sequence[object]
    ask: Callable[[Connection], None]


# Where the pool keeps, by connection, the names of what is prepared on it, and the proviso of the reading that has it.
_PREPARED, _PROVISO = "prepared", "proviso"


class Prepared:
    """A statement that each connection plans once (server-side PREPARE) and then only executes.

    `types` are PostgreSQL's types of `$1, $2, ...`; parameters are given by position. Rows come back as tuples.
    `setting`, such as `enable_bitmapscan = off`, holds while it is executed, and so while it is planned.
    `after` is executed right before it, in the same round trip and transaction; its parameters are given first, and of
    its rows nothing is seen.
    """

    def __init__(
        self, name: str, types: Sequence[str], sql: str, setting: str = "", after: Prepared | None = None
    ) -> None:
        self.name = name
        self._types, self._sql, self._setting, self._after = types, sql, setting, after
        self._provided: dict[str, Prepared] = {}
        declared, given = ", ".join(types), ", ".join(f"%s::{kind}" for kind in types)
        self._prepare = f"PREPARE {name} ({declared}) AS {sql}" if types else f"PREPARE {name} AS {sql}"
        execute = f"EXECUTE {name} ({given})" if types else f"EXECUTE {name}"
        # Statements in one message are one transaction, and one round trip; each sees what was committed before it.
        parts = [] if after is None else [after.execute_sql]
        parts += [f"SET LOCAL {setting}"] if setting else []
        self.execute_sql: str = "; ".join([*parts, execute])

    def prepare(self, cursor: extensions.cursor, known: set[str]) -> None:
        """Prepares the statement on this connection unless `known` (the connection's own set) has it."""
        if self._after is not None:
            self._after.prepare(cursor, known)
        if self.name not in known:
            cursor.execute(self._prepare)
            known.add(self.name)

    def rows(self, connection: Connection, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows of one execution."""
        raw = connection.connection
        proviso: Proviso | None = raw.info.pop(_PROVISO, None)
        if proviso is None:
            return _fetch(self, raw, parameters)
        found = _fetch(self.where(proviso), raw, (*parameters, *proviso.parameters))
        if not found:
            # Nothing is there, or the proviso does not hold.
            proviso.ask(connection)
        return found

    def row(self, connection: Connection, *parameters: object) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.rows(connection, *parameters)
        return found[0] if found else None

    def where(self, proviso: Proviso) -> Prepared:
        """The same statement, without rows where the proviso does not hold: PostgreSQL looks at that once, first."""
        found = self._provided.get(proviso.name)
        if found is None:
            places = [f"${len(self._types) + number}" for number, _ in enumerate(proviso.types, start=1)]
            sql = f"SELECT * FROM ({self._sql}) found WHERE {proviso.condition.format(*places)}"
            found = Prepared(
                f"{self.name}_{proviso.name}", (*self._types, *proviso.types), sql, self._setting, self._after
            )
            self._provided[proviso.name] = found
        return found


def _fetch(statement: Prepared, raw: PoolProxiedConnection, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    with raw.driver_connection.cursor() as cursor:  # type: ignore[union-attr]
        statement.prepare(cursor, raw.info.setdefault(_PREPARED, set()))
        cursor.execute(statement.execute_sql, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@contextmanager
def raw_cursor(connection: Connection) -> Iterator[tuple[extensions.cursor, set[str]]]:
    """The driver's cursor below a SQLAlchemy connection, and the names of what is prepared on it."""
    raw = connection.connection
    driver: extensions.connection = raw.driver_connection  # type: ignore[assignment]
    with driver.cursor() as cursor:
        yield cursor, raw.info.setdefault(_PREPARED, set())


@contextmanager
def unit_of_work() -> Iterator[UnitOfWork]:
    """One transaction: commits at the end, rolls back on any error, runs the held effects after the commit.

    Raises Unavailable where PostgreSQL cannot be reached, is restarting, or a lock or statement took too long.
    """
    rested(engine()).give_way()
    with translated_errors(), engine().begin() as connection:
        unit = UnitOfWork(connection)
        yield unit
    unit.run_effects()


@contextmanager
def reading(proviso: Proviso | None = None) -> Iterator[UnitOfWork]:
    """For requests that only read: each statement is its own transaction, which saves two round trips.

    Where a proviso does not hold, its error is raised in place of what the block answers or refuses.
    """
    with translated_errors(), rested(engine()).one() as connection:
        yield from _read(connection, proviso)


def _read(connection: Connection, proviso: Proviso | None) -> Iterator[UnitOfWork]:
    if proviso is None:
        yield UnitOfWork(connection)
        return
    raw = connection.connection
    raw.info[_PROVISO] = proviso
    try:
        yield UnitOfWork(connection)
        _ask_proviso(connection)
    except AppError:
        _ask_proviso(connection)
        raise
    finally:
        raw.info.pop(_PROVISO, None)


def _ask_proviso(connection: Connection) -> None:
    """Asks the proviso of this reading by itself, unless a statement has."""
    proviso: Proviso | None = connection.connection.info.pop(_PROVISO, None)
    if proviso is not None:
        proviso.ask(connection)


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

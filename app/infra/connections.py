"""Connections to PostgreSQL: how a pool makes them, their time-outs, how they plan, and how they wait.

They work the same under gevent (the wait callback lets other greenlets run during a query) and in plain threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import sqlalchemy
from psycopg2 import extensions
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

from config import Settings, settings


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
    # (or the next part of messages) is empty must be good when it is full, so none of them reads whole tables, nor
    # merges a table with few rows by walking all of its index. To compile one takes longer than it ever runs.
    options += " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_mergejoin=off -c jit=off"
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

    from app.infra.deadlines import Within

    # PostgreSQL ends a statement that takes too long; where it cannot even do that (hung, or its host is lost) we do.
    longest = settings().db_statement_timeout + settings().db_lock_timeout

    def silent() -> psycopg2.OperationalError:
        return psycopg2.OperationalError(f"PostgreSQL did not answer within {longest} s")

    waits = {extensions.POLL_READ: wait_read, extensions.POLL_WRITE: wait_write}

    def wait(connection: extensions.connection) -> None:
        while True:
            state = connection.poll()
            if state == extensions.POLL_OK:
                return
            if state not in waits:
                raise psycopg2.OperationalError(f"unexpected poll state {state}")
            with Within(longest, silent):
                waits[state](connection.fileno())

    extensions.set_wait_callback(wait)

"""A database and a Redis of their own, for tests of what looks at all there is: sweeps, marks, and queues.

In those that the other tests share, their API processes and workers go on with what came before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from app.infra import hub_notes, jobs, redis
from app.infra.db import engine
from app.infra.redis_writer import writer
from config import settings
from local.addresses import embedded_database_url, embedded_redis_url
from tests.processes import eventually

_PROJECT = Path(__file__).parents[1]
_REDIS_NUMBER = 9
# Channels are those of the whole server: nobody in the shared database has these ids.
_FAR_IDS = "SELECT setval('users_id_seq', 1000000000), setval('chats_id_seq', 1000000000)"


def new_database(data_dir: Path, name: str) -> str:
    """The URL of a migrated, empty database on the server of this test process."""
    url = make_url(settings().database)
    connection = psycopg2.connect(dbname=url.database, user=url.username, host=url.query["host"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    address = embedded_database_url(data_dir, name)
    migrate = [sys.executable, "-m", "app.infra.migrations"]
    subprocess.run(migrate, cwd=_PROJECT, env=os.environ | {"DATABASE_URL": address}, check=True, capture_output=True)
    return address


@contextmanager
def working_on(address: str) -> Iterator[None]:
    """Meanwhile this process works on another database, on new connections."""
    ours = settings().database_url
    _connect_to(address)
    try:
        yield
    finally:
        _connect_to(ours)


def _connect_to(address: str | None) -> None:
    before = engine()
    # First the setting: whoever asks for the engine in between shall not get the old one for good.
    settings().database_url = address
    engine.cache_clear()
    before.dispose()


def database_alone(data_dir: Path) -> str:
    """The URL of a database for `working_alone`."""
    address = new_database(data_dir, "alone")
    with working_on(address), engine().begin() as connection:
        connection.exec_driver_sql(_FAR_IDS)
    return address


@contextmanager
def working_alone(address: str, data_dir: Path) -> Iterator[None]:
    """Meanwhile this process, and those that it starts, have a database and a Redis that no others use."""
    # What this process makes once, and keeps, is for the shared ones.
    jobs._producer()
    writer().submit("PING")
    assert writer().flush(20)
    # What is still to be marked is so where it belongs.
    _send_what_waits()
    address_of_redis = embedded_redis_url(data_dir, _REDIS_NUMBER)
    with pytest.MonkeyPatch.context() as patch, working_on(address):
        patch.setattr(settings(), "redis_url", address_of_redis)
        patch.setenv("DATABASE_URL", address)
        patch.setenv("REDIS_URL", address_of_redis)
        redis.client.cache_clear()
        theirs = redis.client()
        # Hubs of other tests listen, as those of all of a server do, and have no leases here.
        theirs.set(hub_notes.SINCE, 0)
        try:
            yield
            _send_what_waits()
        finally:
            patch.undo()
            redis.client.cache_clear()
            theirs.close()


def _send_what_waits() -> None:
    """Returns once marks and jobs of this process are with Redis."""
    sender, is_done = jobs._sender(), threading.Event()
    eventually(lambda: not sender._dirty)
    # In its turn: behind what its thread is sending just now.
    sender._waiting.append(is_done.set)
    sender._launch()
    sender._wake.set()
    assert is_done.wait(20)

"""What the tests of faults do to servers, and how they see what a server has noticed of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from sqlalchemy import text
from sqlalchemy.engine import Connection

from app.infra.db import engine
from local.servers import Postgres, Valkey
from tests.local.folders import descendants
from tests.people import Socket
from tests.processes import Api


@contextmanager
def hung_valkey(server: Valkey) -> Iterator[None]:
    """A Valkey that takes connections and commands but does not answer."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def hung_postgres(server: Postgres) -> Iterator[None]:
    """A PostgreSQL of which no process runs on, though all of them live."""
    assert server.pid is not None
    # First the one that starts the others: then there are no more of them than we see.
    os.kill(server.pid, signal.SIGSTOP)
    pids = [server.pid, *descendants(server.pid)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def hung_api(api: Api) -> Iterator[None]:
    """An API whose processes all stand still, like those of a machine that is suspended."""
    os.killpg(api.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(api.child.pid, signal.SIGCONT)


@contextmanager
def locked(statement: str, **parameters: object) -> Iterator[Connection]:
    """A transaction of somebody else, which keeps the locks of a statement until it is rolled back."""
    with engine().connect() as connection:
        connection.execute(text(statement), parameters)
        try:
            yield connection
        finally:
            connection.rollback()


def waiting_for_locks(connection: Connection) -> int:
    """How many transactions wait for what others hold."""
    return int(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


def subscribers(url: str, *channels: str) -> list[int]:
    """How many processes are subscribed to each of the channels."""
    with redis.Redis.from_url(url) as client:
        return [count for _, count in client.pubsub_numsub(*channels)]


def publish(url: str, *messages: tuple[str, bytes]) -> None:
    """Publishes all at once: nothing of other publishers comes in between."""
    with redis.Redis.from_url(url) as client, client.pipeline(transaction=True) as pipeline:
        for channel, content in messages:
            pipeline.publish(channel, content)
        pipeline.execute()


def leave(*sockets: Socket) -> None:
    """Closes sockets, and returns when the API has forgotten them: it answers a close only after that."""
    for socket in sockets:
        socket.socket.close(timeout=20)

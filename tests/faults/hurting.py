"""What the tests of faults do to servers, and how they see what a server has noticed of it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from sqlalchemy import text
from sqlalchemy.engine import Connection

from app.infra.db import engine, unit_of_work
from local.servers import Postgres, Valkey
from tests.local.folders import descendants
from tests.people import Socket
from tests.processes import Api, Process


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


def kill_child(process: Process) -> None:
    """kill -9 for what the process has started, itself left out: it starts another."""
    (pid,) = descendants(process.child.pid)
    os.kill(pid, signal.SIGKILL)


@contextmanager
def locked(statement: str, **parameters: object) -> Iterator[Connection]:
    """A transaction of somebody else, which keeps the locks of a statement until it is rolled back."""
    with engine().connect() as connection:
        connection.execute(text(statement), parameters)
        try:
            yield connection
        finally:
            connection.rollback()


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
    for each in sockets:
        each.socket.close(timeout=20)


def remove_untold(chat_id: int, user_id: int) -> None:
    """Removes a member, and the process dies before it tells anybody."""
    _change_member_untold(chat_id, user_id, "left_at = now()")


def put_back_untold(chat_id: int, user_id: int) -> None:
    """Takes a former member in again, and the process dies before it tells anybody."""
    _change_member_untold(chat_id, user_id, "left_at = NULL, banned_until = NULL")


def _change_member_untold(chat_id: int, user_id: int, change: str) -> None:
    with unit_of_work() as unit:
        unit.execute(text("SELECT 1 FROM chats WHERE id = :chat FOR UPDATE"), {"chat": chat_id})
        unit.execute(
            text(f"UPDATE chat_members SET {change} WHERE chat_id = :chat AND user_id = :user"),
            {"chat": chat_id, "user": user_id},
        )
        unit.execute(
            text(
                "UPDATE chats SET members_revision = next_message_id(GREATEST(members_revision, revision))"
                " WHERE id = :chat"
            ),
            {"chat": chat_id},
        )


class Gate:
    """A way to a server that takes connections at once, and lets nothing through until it is opened."""

    def __init__(self, server: Valkey) -> None:
        self._path = redis.connection.parse_url(server.url())["path"]
        self._opened = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Lets everything through from now on, also what waits."""
        self._opened.set()

    def close(self) -> None:
        """Takes no more connections; those that wait are let through, and end."""
        self._opened.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(near,), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        self._opened.wait()
        with near, socket.socket(socket.AF_UNIX) as far, suppress(OSError):
            far.connect(self._path)
            back = threading.Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copies bytes until either side ends, and then tells both."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)

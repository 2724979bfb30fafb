"""What a process still owes when it is told to end: its clients a word, and the others its last events."""

from __future__ import annotations

import contextlib
import socket as sockets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
import requests
import websocket
from flask import Flask

from app.infra import bus
from app.infra.redis import make_client
from app.infra.redis_writer import Command, Queued, RedisWriter
from config import settings
from local.servers import Valkey
from tests.faults.hurting import hung_valkey
from tests.people import Person, close_code, connections, make_people
from tests.processes import Api, eventually, running_api


@pytest.fixture
def ending_api(app: Flask, data_dir: Path, own_valkey: Valkey) -> Iterator[Api]:
    """An API process that the test tells to end; it waits long for Redis."""
    with running_api(data_dir, REDIS_URL=own_valkey.url(), REDIS_TIMEOUT="10s") as api:
        yield api


def is_listening(api: Api) -> bool:
    """Whether somebody takes connections on the API's port."""
    with sockets.socket() as probe:
        return probe.connect_ex(("127.0.0.1", api.port)) == 0


def test_a_socket_whose_ticket_is_still_being_checked_when_the_process_ends_is_told_to_come_again(
    app: Flask, ending_api: Api, own_valkey: Valkey
) -> None:
    ada, bob = make_people(app, 2, ending_api.url)
    ticket = ada.post("/auth/ws-ticket")["ticket"]
    connections().close()
    with bob.socket() as greeted:
        with hung_valkey(own_valkey):
            late = websocket.create_connection(f"ws://127.0.0.1:{ending_api.port}/ws?token={ticket}", timeout=20)
            ending_api.child.terminate()
            assert greeted.close_code() == 1012
        assert close_code(late) == 1012
        late.shutdown()


def test_a_connection_that_waits_for_its_next_request_holds_no_process_up(data_dir: Path) -> None:
    with running_api(data_dir, SHUTDOWN_TIMEOUT="120s") as api, requests.Session() as kept:
        assert kept.get(f"{api.url}/healthz", timeout=20).status_code == 200
        assert api.stop() == 0


def send_and_hang_up(person: Person, chat_id: int, text: str) -> None:
    """Sends a message over a connection of its own, which holds up nobody who wants to end."""
    answer = requests.post(
        f"{person.url}/api/messages",
        json={"chat_id": chat_id, "text": text},
        headers={"Authorization": f"Bearer {person.access_token}", "Connection": "close"},
        timeout=20,
    )
    assert answer.status_code == 201


def test_events_that_wait_for_redis_when_the_process_ends_are_still_published(
    app: Flask, ending_api: Api, own_valkey: Valkey
) -> None:
    (ada,) = make_people(app, 1, ending_api.url)
    chat_id = ada.group()
    connections().close()
    with redis.Redis.from_url(own_valkey.url()) as client, client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(bus.chat_messages(chat_id))
        listening.get_message(timeout=20)
        with hung_valkey(own_valkey):
            # The first is on its way already; those after it wait for its answer.
            for number in range(3):
                send_and_hang_up(ada, chat_id, str(number))
            ending_api.child.terminate()
            eventually(lambda: not is_listening(ending_api))
            # A process that owes nothing is gone at once.
            with contextlib.suppress(subprocess.TimeoutExpired):
                ending_api.child.wait(1.5)
        assert ending_api.child.wait(20) == 0
        published = []
        while (message := listening.get_message(timeout=2)) is not None:
            published.append(bus.parse(message["data"])[0]["seq"])
    assert published == [1, 2, 3]


class _BusyWriter(RedisWriter):
    """A writer to which somebody submits in the moment in which it has found its queue empty."""

    def __init__(self, *late: Command) -> None:
        super().__init__(lambda: settings().redis)
        self._late = list(late)

    def _take(self) -> list[Queued]:
        batch = super()._take()
        if not batch:
            while self._late:
                self.submit(*self._late.pop(0))
        return batch


def test_a_flush_waits_also_for_what_came_while_the_writer_found_nothing_more_to_do(app: Flask) -> None:
    key = f"flushed:{uuid4()}"
    # The first of them keeps Redis from coming to the second for half a second.
    writer = _BusyWriter(("BLPOP", f"{key}:nothing", "0.5"), ("SET", key, "written"))
    writer.submit("PING")
    assert writer.flush(20)
    with make_client(settings().redis) as client:
        assert client.get(key) == b"written"

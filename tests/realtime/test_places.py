"""How many sockets a process holds, and what those cost it that it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import websocket
from flask import Flask

from config import settings
from tests.people import Person, close_code, connections, make_people
from tests.processes import Api, eventually, running_api

_PLACES = 10
People = Callable[[int], list[Person]]


@pytest.fixture(scope="module")
def narrow_api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API process with few places for sockets."""
    with running_api(data_dir, WEB_CONNECTIONS=str(_PLACES)) as api:
        yield api
        connections().close()  # The server would wait for more requests on them before it ends.


def opened(person: Person, url: str, token: str | None = None) -> websocket.WebSocket:
    address = f"{url.replace('http', 'ws', 1)}/ws?token={token or person.access_token}"
    return websocket.create_connection(address, timeout=20)


def test_sockets_past_the_places_of_a_process_are_asked_to_come_again_and_find_one_that_is_free(
    app: Flask, narrow_api: Api
) -> None:
    (ada,) = make_people(app, 1, narrow_api.url)
    sockets = [opened(ada, narrow_api.url) for _ in range(_PLACES)]
    assert all("hello" in socket.recv() for socket in sockets)
    late = opened(ada, narrow_api.url)
    assert close_code(late) == 1012
    sockets.pop().close(timeout=20)

    def is_greeted() -> bool:
        socket = opened(ada, narrow_api.url)
        sockets.append(socket)
        return bool(socket.recv_frame().opcode == websocket.ABNF.OPCODE_TEXT)

    eventually(is_greeted)
    for socket in (*sockets, late):
        socket.shutdown()


def test_who_is_refused_leaves_nothing_behind_in_redis(people: People) -> None:
    (ada,) = people(1)
    with redis.Redis.from_url(settings().redis) as client:
        client.delete("session:0")
        for _ in range(3):
            refused = opened(ada, ada.url, "nonsense")
            assert close_code(refused) == 4401
            refused.shutdown()
        # What a socket leaves behind would have been written by the time that this one is known to be gone.
        with ada.socket():
            eventually(lambda: client.exists(f"session:{ada.id}") == 1)
        eventually(lambda: client.zscore("online:users", str(ada.id)) is None)
        assert client.exists("session:0") == 0

"""What one socket or one person may ask of the server, and what the server keeps for a socket not yet greeted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
from flask import Flask

from app.infra import bus
from config import settings
from tests.calls.scenes import talk
from tests.calls.test_signals import hear, heard
from tests.faults.hurting import locked, publish, subscribers
from tests.people import Person, Socket, close_code, connections, make_people
from tests.processes import Api, eventually, running_api
from tests.waiting import waiting_for

_QUEUE = 1_000_000


@pytest.fixture(scope="module")
def strict_api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API with small limits, which waits long for locks."""
    limits = {
        "RATE_LIMIT_ENABLED": "true",
        "RATE_LIMIT_PRESENCE": "3",
        "RATE_LIMIT_TYPING": "5",
        "RATE_LIMIT_CALL_SIGNALS": "3",
    }
    patience = {"DB_LOCK_TIMEOUT": "30s", "DB_STATEMENT_TIMEOUT": "30s"}
    with running_api(data_dir, WS_QUEUE_SIZE=str(_QUEUE), **limits, **patience) as api:
        yield api
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.fixture
def people(app: Flask, strict_api: Api) -> Callable[[int], list[Person]]:
    """Makes so many new people who use that API."""
    return lambda count: make_people(app, count, strict_api.url)


def refused_after(socket: Socket, allowed: int, kind: str, data: dict[str, Any]) -> None:
    """Sends as many frames as are allowed, and one more, which is refused."""
    assert [socket.ask(kind, data)["event"] for _ in range(allowed)] == ["ack"] * allowed
    refusal = socket.ask(kind, data)
    assert (refusal["event"], refusal["data"]["code"]) == ("error", "rate_limited")
    assert refusal["data"]["retry_after"] >= 1


@pytest.mark.parametrize(("kind", "allowed"), [("presence", 3), ("typing", 5)])
def test_frames_past_the_limit_of_their_kind_are_refused_on_all_of_a_persons_sockets_and_harm_nothing_else(
    people: Callable[[int], list[Person]], kind: str, allowed: int
) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    frames: dict[str, dict[str, Any]] = {
        "presence": {"status": "away"},
        "typing": {"chat_id": chat_id, "is_typing": True},
    }
    data = frames[kind]
    with ada.socket() as socket, ada.socket() as other, bob.socket() as his:
        refused_after(socket, allowed, kind, data)
        assert other.ask(kind, data)["data"]["code"] == "rate_limited"
        assert socket.ask("message", {"chat_id": chat_id, "text": "still here"})["event"] == "ack"
        assert his.ask(kind, data)["event"] == "ack"


def test_signals_past_their_limit_are_refused_and_reach_nobody(people: Callable[[int], list[Person]]) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        call_id = talk(ada, bob)
        data = {"call_id": call_id, "signal": {"candidate": ""}}
        refused_after(hers, 3, "call_signal", data)
        assert his.ask("call_signal", data)["event"] == "ack"
        hear(his, 3)
        assert len(heard(his)) == 3


def test_events_for_a_socket_that_cannot_be_greeted_yet_are_bounded(people: Callable[[int], list[Person]]) -> None:
    ada, bob = people(2)
    event = bus.payload({}, bus.encode("unread", {"chat_id": 1, "unread_count": 1, "filling": "x" * 100_000}))
    address = f"{ada.url.replace('http', 'ws', 1)}/ws?token="
    with locked("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE") as connection:
        flooded = websocket.create_connection(address + ada.access_token, timeout=20)
        calm = websocket.create_connection(address + bob.access_token, timeout=20)
        own = [bus.user_notifications(person.id) for person in (ada, bob)]
        eventually(lambda: subscribers(settings().redis, *own) == [1, 1] and waiting_for(connection) > 0)
        publish(settings().redis, *[(bus.user_notifications(ada.id), event)] * (_QUEUE // 100_000 + 1))
        publish(settings().redis, *[(bus.user_notifications(bob.id), event)] * 5)
        assert close_code(flooded) == 4413
    assert ['"hello"' in calm.recv(), *['"unread"' in calm.recv() for _ in range(5)]] == [True] * 6
    flooded.shutdown()
    calm.shutdown()

"""Whoever answers pings is there, and whoever stops answering is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket
from flask import Flask

from tests.people import Person, Socket, connections, make_people
from tests.processes import Api, eventually, running_api


@pytest.fixture(scope="module")
def quick_api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API whose heartbeats are quick."""
    with running_api(data_dir, WS_HEARTBEAT="2s") as process:
        yield process
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.fixture
def ada(app: Flask, quick_api: Api) -> Person:
    (person,) = make_people(app, 1, quick_api.url)
    return person


def status(person: Person) -> str:
    shown: str = person.get("/auth/me")["status"]
    return shown


def answer_ping(socket: Socket) -> None:
    """Reads until the server pings, and answers that as a browser does by itself; no frame is sent."""
    while (frame := socket.socket.recv_frame()).opcode != websocket.ABNF.OPCODE_PING:
        assert frame.opcode != websocket.ABNF.OPCODE_CLOSE, frame.data
    socket.socket.pong(frame.data)


def test_who_sends_nothing_but_answers_to_pings_stays_online(ada: Person) -> None:
    with ada.socket() as socket:
        eventually(lambda: status(ada) == "online")
        for _ in range(3):
            answer_ping(socket)
            assert status(ada) == "online"


def test_who_answers_no_more_or_never_did_is_closed_with_4408_and_goes_offline(app: Flask, quick_api: Api) -> None:
    ada, bob = make_people(app, 2, quick_api.url)
    with ada.socket() as socket, bob.socket() as silent:
        answer_ping(socket)
        assert status(ada) == "online"
        for person, closed in ((bob, silent), (ada, socket)):
            assert closed.close_code() == 4408
            eventually(lambda person=person: status(person) == "offline")

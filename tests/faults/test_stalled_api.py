"""An API process that stood still for a while takes nobody for gone who did answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket
from flask import Flask

from tests.faults.hurting import hung_api
from tests.people import Socket, connections, make_people
from tests.processes import Api, running_api

_HEARTBEAT = 2


@pytest.fixture(scope="module")
def api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API whose heartbeats are quick."""
    with running_api(data_dir, WS_HEARTBEAT=f"{_HEARTBEAT}s") as process:
        yield process
        connections().close()  # The server would wait for more requests on them before it ends.


def wait_for_ping(socket: Socket) -> None:
    """Reads until the server pings, without answering."""
    while (frame := socket.socket.recv_frame()).opcode != websocket.ABNF.OPCODE_PING:
        assert frame.opcode != websocket.ABNF.OPCODE_CLOSE, frame.data


def stays_open(socket: Socket) -> None:
    """Answers pings as clients do, and asks a question that only an open socket answers."""
    for _ in range(3):
        wait_for_ping(socket)
        socket.socket.pong()
    assert socket.ask("ping")["event"] == "ack"


@pytest.mark.parametrize("answers_before", [True, False], ids=["answered", "answer under way"])
def test_a_socket_that_answers_pings_outlives_a_process_that_stood_still(
    app: Flask, api: Api, answers_before: bool
) -> None:
    (ada,) = make_people(app, 1, api.url)
    with ada.socket() as socket:
        wait_for_ping(socket)
        if answers_before:
            socket.socket.pong()
            socket.quiet()
        with hung_api(api):
            if not answers_before:
                socket.socket.pong()
            time.sleep(3 * _HEARTBEAT)
        stays_open(socket)

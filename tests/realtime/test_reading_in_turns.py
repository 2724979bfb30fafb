"""Who sends without a pause lets others be heard, and who pauses is not made to wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket
import pytest

from app.realtime import connection
from app.realtime.connection import Connection

_LONG = 30.0
_FRAME = b"\x81\x86\0\0\0\0typing"
_LARGEST = 1000


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """A connection's socket, of which each reading takes one frame, and the client's end."""
    monkeypatch.setattr(connection, "_RECEIVE_BYTES", len(_FRAME))
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs, gevent.Timeout(_LONG):
        yield ours, theirs


def read(ours: Any, heard: list[str]) -> None:
    heard.extend(Connection(ours).messages(_LARGEST, lambda _: True))


def test_others_are_heard_while_a_client_sends_without_a_pause(ends: tuple[Any, Any]) -> None:
    ours, theirs = ends
    their_client: Any
    another, their_client = gevent.socket.socketpair()
    heard: list[str] = []
    then: list[int] = []

    def hear_another() -> None:
        another.recv(1)
        then.append(len(heard))

    with another, their_client:
        gevent.spawn(hear_another)
        gevent.idle()
        theirs._sock.send(_FRAME * 100)
        their_client._sock.send(b"?")
        reader = gevent.spawn(read, ours, heard)
        theirs.shutdown(gevent.socket.SHUT_WR)
        reader.join()
    assert len(heard) == 100
    assert then[0] <= connection._RECEIVED_IN_A_ROW


def test_a_client_that_sends_one_frame_after_the_other_is_read_at_once(
    ends: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = ends
    turns: list[None] = []
    monkeypatch.setattr(connection, "give_way", lambda: turns.append(None))
    heard: list[str] = []
    reader = gevent.spawn(read, ours, heard)
    for number in range(1, 11):
        theirs.send(_FRAME)
        while len(heard) < number:
            gevent.sleep(0.001)
    theirs.shutdown(gevent.socket.SHUT_WR)
    reader.join()
    assert not turns

"""A room puts messages back into their order, and waits no longer than it must."""

from __future__ import annotations

import gevent
import gevent.socket
import pytest
from wsproto import WSConnection
from wsproto.connection import ConnectionType

from app.infra import bus
from app.realtime import room
from app.realtime.connection import Connection
from app.realtime.wire import text_frame
from app.web.authentication import Caller

_LONG = 60.0


def event(seq: int) -> tuple[bus.Header, bytes]:
    return {"seq": seq}, bus.encode("new_message", {"seq": seq})


def test_a_message_that_overtook_others_is_delivered_as_soon_as_they_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PATIENCE", _LONG)
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs, gevent.Timeout(_LONG / 2):
        connection = Connection(ours, WSConnection(ConnectionType.SERVER), Caller(1, "", 0.0))
        connection.ready = True
        chat = room.Room(1, expel=lambda *_: None, tell_to_sync=lambda _: None)
        chat.connections.add(connection)
        chat.begin(members_revision=0, last_seq=0)
        # One at a time, so that each finds the room waiting for the first.
        for seq in (3, 2, 1):
            chat.receive(*event(seq), droppable=False)
            gevent.sleep(0)
        while chat.delivered_seq != 3:
            gevent.sleep(0)
        expected = b"".join(text_frame(event(seq)[1]) for seq in (1, 2, 3))
        assert theirs.recv(len(expected) + 1) == expected

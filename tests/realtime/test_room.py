"""A room puts messages back into their order, and waits no longer than it must."""

from __future__ import annotations

import select
from contextlib import ExitStack

import gevent
import gevent.socket
import pytest

from app.errors import Unavailable
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
        connection = Connection(ours)
        connection.caller = Caller(1, "", 0.0)
        connection.ready = True
        chat = room.Room(1, expel=lambda *_: None, tell_to_sync=lambda _: None, resync=lambda: None)
        chat.admit([connection], members_revision=0)
        chat.begin(last_seq=0)
        # One at a time, so that each finds the room waiting for the first.
        for seq in (3, 2, 1):
            chat.receive(*event(seq), droppable=False)
            gevent.sleep(0)
        while chat.delivered_seq != 3:
            gevent.sleep(0)
        expected = b"".join(text_frame(event(seq)[1]) for seq in (1, 2, 3))
        assert theirs.recv(len(expected) + 1) == expected


def test_who_is_let_in_again_while_it_is_asked_who_is_a_member_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(5, 0, set[int]()), (9, 0, {1})]
    expelled: list[set[int]] = []
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs, gevent.Timeout(_LONG / 2):
        connection = Connection(ours)
        connection.caller = Caller(1, "", 0.0)
        connection.ready = True
        chat = room.Room(
            1, expel=lambda _, people: expelled.append(people), tell_to_sync=lambda _: None, resync=lambda: None
        )

        def present_members(*_: object) -> tuple[int, int, set[int]]:
            if len(answers) == 2:
                # The answer is on its way, and older than the order to join that comes now.
                chat.admit([connection], members_revision=0)
            return answers.pop(0)

        monkeypatch.setattr(room, "present_members", present_members)
        chat.admit([connection], members_revision=0)
        chat.begin(last_seq=0)
        chat.check_members(5)
        while chat.members_revision != 9:
            gevent.sleep(0)
    assert (expelled, answers) == ([], [])


def test_who_speaks_while_a_message_goes_to_many_sockets_is_heard_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MOST_AT_ONCE", 2)
    with ExitStack() as exits:
        exits.enter_context(gevent.Timeout(_LONG / 2))
        pairs = [gevent.socket.socketpair() for _ in range(5)]
        chat = room.Room(1, expel=lambda *_: None, tell_to_sync=lambda _: None, resync=lambda: None)
        for ours, theirs in pairs:
            exits.enter_context(theirs)
            connection = Connection(exits.enter_context(ours))
            connection.ready = True
            chat.admit([connection], members_revision=0)
        chat.begin(last_seq=0)
        another, their_client = (exits.enter_context(each) for each in gevent.socket.socketpair())
        served: list[int] = []

        def hear_another() -> None:
            another.recv(1)
            served.append(sum(theirs in select.select([theirs], [], [], 0)[0] for _, theirs in pairs))

        reader = gevent.spawn(hear_another)
        gevent.idle()
        their_client._sock.send(b"?")  # type: ignore[attr-defined]
        for seq in (1, 2):
            chat.receive(*event(seq), droppable=False)
        reader.join()
        assert served == [2]
        expected = b"".join(text_frame(event(seq)[1]) for seq in (1, 2))
        for _, theirs in pairs:
            received = b""
            while len(received) < len(expected):
                received += theirs.recv(len(expected))
            assert received == expected


def test_a_room_that_fails_while_nobody_can_be_told_to_sync_has_that_done_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resyncs: list[bool] = []

    def fails(*_: object) -> None:
        raise RuntimeError("a defect")

    def tell_to_sync(_: object) -> None:
        raise Unavailable(retry_after=1)

    monkeypatch.setattr(room, "present_members", fails)
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs, gevent.Timeout(_LONG / 2):
        connection = Connection(ours)
        connection.ready = True
        chat = room.Room(1, lambda *_: None, tell_to_sync, lambda: resyncs.append(True))
        chat.admit([connection], members_revision=0)
        chat.begin(last_seq=0)
        chat.check_members(5)
        while not resyncs:
            gevent.sleep(0)
        # It goes on with what comes then.
        chat.receive(*event(1), droppable=False)
        assert chat.delivered_seq == 1

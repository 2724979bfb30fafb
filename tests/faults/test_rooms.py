"""Rooms deliver to members and to nobody else, whatever PostgreSQL or a lost event does to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import websocket

from app.infra import bus
from app.messages import queries
from app.messages.unread import fan_out_all
from config import settings
from local.servers import Valkey
from tests.faults.hurting import locked, publish, remove_untold, subscribers
from tests.people import Person, Socket, close_code
from tests.processes import eventually
from tests.waiting import waiting_for

Folk = Callable[[int], list[Person]]
People = Callable[[int], list[Person]]


def test_rooms_open_by_themselves_once_postgresql_answers_again(folk: Folk, own_valkey: Valkey) -> None:
    ada, bob, eve = folk(3)
    chat_id = ada.group(bob, eve)
    with locked("LOCK TABLE chats IN ACCESS EXCLUSIVE MODE") as connection, ThreadPoolExecutor(1) as pool:
        # The first one opens the room and fails at it, while the second one waits in it.
        address = f"{bob.url.replace('http', 'ws', 1)}/ws?token={bob.access_token}"
        first = websocket.create_connection(address, timeout=20)
        eventually(lambda: waiting_for(connection) > 0)
        second = pool.submit(eve.socket)
        eventually(lambda: subscribers(own_valkey.url(), bus.user_notifications(eve.id)) == [1])
        assert close_code(first) == 1012
        first.shutdown()
        connection.rollback()
        with second.result() as socket:
            for number in range(3):
                ada.send(chat_id, str(number))
            assert [socket.next("new_message")["text"] for _ in range(3)] == ["0", "1", "2"]


def new_messages(events: list[dict[str, object]]) -> list[object]:
    return [event["data"] for event in events if event["event"] == "new_message"]


def test_a_former_member_gets_no_message_that_is_read_because_its_event_was_lost(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    with bob.socket() as removed, eve.socket() as member:
        ada.send(chat_id, "to all")
        assert removed.next("new_message")["text"] == "to all"
        remove_untold(chat_id, bob.id)
        queries.send_batch([queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "without bob", None)])
        # The worker's hint, which names a seq and no revision, is all that the room ever hears.
        fan_out_all([chat_id])
        assert member.next("new_message", text="without bob")
        assert new_messages(removed.quiet()) == []


def frames_until_closed(socket: Socket) -> list[str]:
    """The names of the events that still come, until the server closes."""
    names = []
    while (frame := socket.socket.recv_frame()).opcode != websocket.ABNF.OPCODE_CLOSE:
        if frame.opcode == websocket.ABNF.OPCODE_TEXT:
            names.append(json.loads(frame.data)["event"])
    return names


def test_a_message_published_right_behind_a_revocation_does_not_reach_the_revoked_socket(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as socket:
        ada.send(chat_id, "before")
        assert socket.next("new_message")["text"] == "before"
        publish(
            settings().redis,
            (
                bus.user_notifications(bob.id),
                bus.payload({"control": "session_revoked", "subject": bob.session_id}),
            ),
            (bus.chat_messages(chat_id), bus.payload({"seq": 2}, bus.encode("new_message", {"text": "secret"}))),
        )
        assert "new_message" not in frames_until_closed(socket)

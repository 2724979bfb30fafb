"""The socket: greeting, answers, hostile frames, slow readers, and every way in which it ends."""

from __future__ import annotations

import contextlib
import json
import socket as sockets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import websocket
from flask import Flask
from sqlalchemy import text

from app.infra.db import unit_of_work
from tests.people import Person, Socket, close_code, make_people
from tests.processes import Api, running_api

People = Callable[[int], list[Person]]


def saved(person: Person) -> int:
    chat_id: int = person.post("/chats", {"type": "direct", "user_id": person.id})["id"]
    return chat_id


def test_the_greeting_names_the_user_the_session_and_a_cursor(people: People) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        assert socket.hello["user_id"] == ada.id
        assert socket.hello["session_id"] == ada.session_id
        assert socket.hello["heartbeat_seconds"] == 25
        assert isinstance(socket.hello["cursor"], str)


def test_a_sent_message_is_acknowledged_with_its_fields_beside_the_ref(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as socket:
        answer = socket.ask("message", {"chat_id": chat_id, "text": "hello", "client_id": str(uuid4())})
    assert answer["event"] == "ack"
    message = answer["data"]
    del message["ref"]
    assert bob.get(f"/chats/{chat_id}/messages")["items"] == [message]


def test_the_sending_socket_is_not_told_of_its_message_but_the_other_devices_are(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as sending, ada.socket() as other:
        answer = sending.ask("message", {"chat_id": chat_id, "text": "from here"})
        assert other.next("new_message")["id"] == answer["data"]["id"]
        assert [event["event"] for event in sending.quiet() if event["event"] == "new_message"] == []


@pytest.mark.parametrize("ref", [1, "a", "ü" * 64, 2**53 - 1], ids=repr)
def test_a_ref_comes_back_as_it_was_sent(people: People, ref: Any) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        socket.frame("ping", ref=ref)
        assert socket.read() == {"event": "pong", "data": {}}
        assert socket.read() == {"event": "ack", "data": {"ref": ref}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "null",
        "[]",
        "{",
        "1e999",
        '{"type":"message"}',
        '{"type":null}',
        '{"type":["message"]}',
        '{"type":"unknown","data":{}}',
        '{"type":"ping","data":{},"colour":1}',
        '{"type":"ping","data":[]}',
        '{"type":"ping","data":"x"}',
        '{"type":"ping","ref":{"a":1}}',
        '{"type":"ping","ref":true}',
        '{"type":"ping","ref":1e400}',
        '{"type":"ping","ref":99999999999999999999999}',
        '{"type":"ping","ref":"\\u0000"}',
        '{"type":"message","data":{"chat_id":1,"text":"\\ud800"}}',
        '{"type":"message","data":{"chat_id":1,"text":"\\u0000"}}',
        '{"type":"message","data":{"chat_id":99999999999999999999999999,"text":"x"}}',
        '{"type":"message","data":{"chat_id":NaN,"text":"x"}}',
        '{"type":"message","data":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
        "[" * 60000,
        '{"type":"typing","data":{"chat_id":9007199254740991,"is_typing":true}}',
        '{"type":"read_receipt","data":{"chat_id":1,"message_id":9007199254740992}}',
        '{"type":"presence","data":{"status":"sleeping"}}',
        '{"type":"auth","data":{"token":"x.y.z"}}'[:-1],
    ],
    ids=lambda text: text[:40],
)
def test_a_hostile_frame_gets_an_error_and_the_socket_lives(people: People, text: str) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        socket.raw(text)
        refusal = socket.read()
        assert refusal["event"] == "error"
        assert refusal["data"]["code"] in ("malformed_request", "validation_failed", "not_found")
        assert socket.ask("ping")["event"] == "ack"


def test_a_frame_with_a_lone_surrogate_and_a_ref_is_answered_with_the_ref(people: People) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        socket.raw('{"type":"message","ref":"r","data":{"chat_id":1,"text":"\\ud800"}}')
        error = socket.next("error")
        assert (error["ref"], error["code"]) == ("r", "validation_failed")


def test_a_frame_over_the_limit_closes_with_1009(people: People) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        socket.raw(json.dumps({"type": "ping", "data": {}, "ref": "x" * 70_000}))
        assert socket.close_code() == 1009


def test_a_frame_in_many_fragments_is_one_frame_and_endless_fragments_are_refused(people: People) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        text = json.dumps({"type": "ping", "ref": "r"}).encode()
        for index, byte in enumerate(text):
            opcode = websocket.ABNF.OPCODE_TEXT if index == 0 else websocket.ABNF.OPCODE_CONT
            frame = websocket.ABNF.create_frame(bytes([byte]), opcode, fin=int(index == len(text) - 1))
            socket.socket.send_frame(frame)
        assert socket.next("ack")["ref"] == "r"
        for index in range(20):
            opcode = websocket.ABNF.OPCODE_TEXT if index == 0 else websocket.ABNF.OPCODE_CONT
            socket.socket.send_frame(websocket.ABNF.create_frame("x" * 5000, opcode, fin=0))
        assert socket.close_code() == 1009


def test_binary_and_unmasked_frames_close_the_socket_and_nobody_elses(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as binary, ada.socket() as unmasked, bob.socket() as bystander:
        binary.socket.send_binary(b"\x00\x01")
        assert binary.close_code() == 1003
        assert unmasked.socket.sock is not None
        unmasked.socket.sock.sendall(b"\x81\x02{}")
        assert unmasked.close_code() == 1002
        assert bystander.ask("ping")["event"] == "ack"


def test_a_ping_of_the_protocol_is_answered(people: People) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        socket.socket.ping("are you there")
        opcode, frame = socket.socket.recv_data_frame(control_frame=True)
        assert (opcode, frame.data) == (websocket.ABNF.OPCODE_PONG, b"are you there")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_bad_token_closes_with_4401(people: People, api: Api, token: str) -> None:
    socket = websocket.create_connection(f"{api.url.replace('http', 'ws')}/ws?token={token}", timeout=20)
    assert close_code(socket) == 4401
    socket.close()


def test_a_signed_out_session_opens_no_socket(people: People) -> None:
    (ada,) = people(1)
    assert ada.call("POST", "/auth/logout").status_code == 204
    socket = websocket.create_connection(f"{ada.url.replace('http', 'ws')}/ws?token={ada.access_token}", timeout=20)
    assert close_code(socket) == 4401
    socket.close()


def test_the_token_may_come_as_a_subprotocol(people: People) -> None:
    (ada,) = people(1)
    socket = websocket.create_connection(
        f"{ada.url.replace('http', 'ws')}/ws", timeout=20, subprotocols=["bearer", ada.access_token]
    )
    assert json.loads(socket.recv())["event"] == "hello"
    assert socket.getsubprotocol() == "bearer"
    socket.close()


def test_a_ticket_opens_one_socket(people: People) -> None:
    (ada,) = people(1)
    ticket = ada.post("/auth/ws-ticket")["ticket"]
    with Socket(ada, ada.url, token=ticket) as socket:
        assert socket.hello["user_id"] == ada.id
    again = websocket.create_connection(f"{ada.url.replace('http', 'ws')}/ws?token={ticket}", timeout=20)
    assert close_code(again) == 4401
    again.close()


def test_a_foreign_origin_is_refused_before_the_handshake(people: People) -> None:
    (ada,) = people(1)
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        ada.socket(origin="https://evil.example")
    assert refusal.value.status_code == 403
    with ada.socket(origin="http://localhost:3000") as socket:
        assert socket.ask("ping")["event"] == "ack"


def test_compression_is_not_agreed_on(people: People) -> None:
    (ada,) = people(1)
    with ada.socket(header=["Sec-WebSocket-Extensions: permessage-deflate"]) as socket:
        assert "sec-websocket-extensions" not in (socket.socket.getheaders() or {})


def test_signing_out_closes_the_sessions_sockets_at_every_process(people: People, second_api: Api) -> None:
    (ada,) = people(1)
    with ada.socket() as here, ada.socket(second_api.url) as there:
        assert ada.call("POST", "/auth/logout").status_code == 204
        assert here.close_code() == 4401
        assert there.close_code() == 4401


@pytest.mark.parametrize("kind", ["message", "typing", "read_receipt", "presence", "auth"])
def test_a_revoked_session_can_do_nothing_over_a_socket_that_did_not_hear_of_it(people: People, kind: str) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    data = {
        "message": {"chat_id": chat_id, "text": "x"},
        "typing": {"chat_id": chat_id, "is_typing": True},
        "read_receipt": {"chat_id": chat_id, "message_id": 1},
        "presence": {"status": "online"},
        "auth": {"token": ada.access_token},
    }[kind]
    with ada.socket() as socket:
        with unit_of_work() as unit:
            unit.execute(text("UPDATE sessions SET revoked_at = now() WHERE id = :id"), {"id": ada.session_id})
        refusal = socket.ask(kind, data)
        assert (refusal["event"], refusal["data"]["code"]) == ("error", "session_revoked")
        assert socket.close_code() == 4401


def test_a_fresh_token_of_another_session_is_refused(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as socket:
        assert socket.ask("auth", {"token": ada.access_token})["event"] == "ack"
        assert socket.ask("auth", {"token": bob.access_token})["data"]["code"] == "unauthenticated"


def test_a_reader_with_a_4_kb_buffer_gets_200_large_frames_whole(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    small = ((sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096),)
    texts = [f"{number} " + "🧗" * 4000 for number in range(200)]
    with bob.socket(sockopt=small) as paused, ada.socket() as sender:
        for text in texts:
            assert sender.ask("message", {"chat_id": chat_id, "text": text})["event"] == "ack"
        assert [paused.next("new_message")["text"] for _ in texts] == texts


def test_who_never_reads_is_closed_and_delays_nobody(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    small = ((sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096),)
    texts = [f"{number} " + "🧗" * 4000 for number in range(400)]
    with bob.socket(sockopt=small) as stuck, eve.socket() as reader, ada.socket() as sender:
        for text in texts:
            sender.ask("message", {"chat_id": chat_id, "text": text})
            assert reader.next("new_message")["text"] == text
        received = list(_texts_until_the_end(stuck))
    assert received == texts[: len(received)]
    assert len(received) < len(texts)


def _texts_until_the_end(socket: Socket) -> Iterator[str]:
    """The texts of messages that arrive whole, until the server closes or only cuts the line."""
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while (frame := socket.socket.recv_frame()).opcode != websocket.ABNF.OPCODE_CLOSE:
            if frame.opcode == websocket.ABNF.OPCODE_TEXT:
                event: dict[str, Any] = json.loads(frame.data)
                if event["event"] == "new_message":
                    yield event["data"]["text"]


def test_typing_reaches_the_others_and_a_channel_refuses_it(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    channel = ada.post("/chats", {"type": "channel", "name": "News", "member_ids": [bob.id]})["id"]
    with ada.socket() as typist, bob.socket() as reader:
        assert typist.ask("typing", {"chat_id": chat_id, "is_typing": True})["event"] == "ack"
        assert reader.next("typing") == {"chat_id": chat_id, "user_id": ada.id, "is_typing": True}
        typist.frame("typing", {"chat_id": chat_id, "is_typing": False})
        assert reader.next("typing")["is_typing"] is False
        assert typist.ask("typing", {"chat_id": channel, "is_typing": True})["data"]["code"] == "forbidden"


def test_who_goes_while_typing_types_no_more(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as reader:
        with ada.socket() as typist:
            typist.ask("typing", {"chat_id": chat_id, "is_typing": True})
            assert reader.next("typing")["is_typing"] is True
        assert reader.next("typing")["is_typing"] is False


def test_presence_is_told_to_direct_chats_and_not_to_strangers(people: People) -> None:
    ada, bob, eve = people(3)
    ada.direct_chat(bob)
    with bob.socket() as friend, eve.socket() as stranger:
        with ada.socket() as socket:
            assert friend.next("presence", user_id=ada.id)["status"] == "online"
            assert bob.get(f"/users/{ada.id}")["status"] == "online"
            socket.ask("presence", {"status": "away"})
            assert friend.next("presence", user_id=ada.id)["status"] == "away"
        gone = friend.next("presence", user_id=ada.id)
        assert gone["status"] == "offline"
        assert gone["last_seen_at"] is not None
        assert [event for event in stranger.quiet() if event["event"] == "presence"] == []


def test_a_second_device_keeps_its_person_online(people: People) -> None:
    ada, bob = people(2)
    ada.direct_chat(bob)
    with bob.socket() as friend:
        with ada.socket() as first:
            assert friend.next("presence", user_id=ada.id)["status"] == "online"
            with ada.socket() as second:
                second.ask("ping")
            first.ask("ping")
            assert bob.get(f"/users/{ada.id}")["status"] == "online"
        assert friend.next("presence", user_id=ada.id)["status"] == "offline"


def test_sigterm_tells_the_sockets_to_come_back_and_lets_requests_finish(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir) as api:
        ada, bob = make_people(app, 2, api.url)
        chat_id = ada.direct_chat(bob)
        with ada.socket() as socket:
            ada.send(chat_id, "before")
            api.child.terminate()
            assert socket.close_code() == 1012
        assert api.child.wait(20) == 0


def test_too_many_frames_close_with_4429(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir, RATE_LIMIT_ENABLED="true", WS_FRAMES_BURST="10", WS_FRAMES_PER_SECOND="1") as api:
        (ada,) = make_people(app, 1, api.url)
        with ada.socket() as socket:
            for _ in range(30):
                socket.frame("ping")
            assert socket.next("error")["code"] == "rate_limited"
            assert socket.close_code() == 4429


def test_sockets_of_one_person_are_bounded(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir, WS_CONNECTIONS_PER_USER="2") as api:
        (ada,) = make_people(app, 1, api.url)
        with ada.socket(), ada.socket():
            address = f"{api.url.replace('http', 'ws')}/ws?token={ada.access_token}"
            third = websocket.create_connection(address, timeout=20)
            assert close_code(third) == 4429
            third.close()


def test_a_plain_get_of_the_socket_is_told_so(api: Api) -> None:
    assert requests.get(f"{api.url}/ws", timeout=20).status_code in (400, 426)

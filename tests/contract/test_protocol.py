"""The contract that clients are written against, word for word, beside what the code says of itself.

Who adds an endpoint, a frame, an event or a field adds its row here, from the written protocol and not from the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from jsonschema_rs import Draft202012Validator, meta

from tests.contract.documents import EVENTS, REST, event_schema, frame_schema, references, resolve, rest_operations
from tests.files.places import uploaded
from tests.people import Person, Socket
from tests.processes import Api, Worker

People = Callable[[int], list[Person]]

# Method and path: the statuses of success.
REST_TABLE: dict[str, set[int]] = {
    "POST /api/auth/register": {202},
    "POST /api/auth/verify": {201},
    "POST /api/auth/code": {202},
    "POST /api/auth/login": {200},
    "POST /api/auth/refresh": {200},
    "POST /api/auth/logout": {204},
    "GET /api/auth/me": {200},
    "PATCH /api/auth/me": {200},
    "GET /api/auth/sessions": {200},
    "DELETE /api/auth/sessions/{session_id}": {204},
    "POST /api/auth/password/forgot": {202},
    "POST /api/auth/password/reset": {204},
    "PUT /api/auth/password": {204},
    "POST /api/auth/ws-ticket": {200},
    "GET /api/chats": {200},
    "POST /api/chats": {200, 201},
    "GET /api/chats/{chat_id}": {200},
    "PUT /api/chats/{chat_id}": {200},
    "DELETE /api/chats/{chat_id}": {204},
    "GET /api/chats/search": {200},
    "GET /api/chats/{chat_id}/members": {200},
    "POST /api/chats/{chat_id}/members": {200},
    "PATCH /api/chats/{chat_id}/members/{user_id}": {200},
    "DELETE /api/chats/{chat_id}/members/{user_id}": {204},
    "POST /api/chats/{chat_id}/leave": {204},
    "POST /api/chats/{chat_id}/join": {200},
    "POST /api/chats/{chat_id}/pin": {200},
    "POST /api/chats/{chat_id}/mute": {200},
    "DELETE /api/chats/{chat_id}/history": {204},
    "GET /api/chats/{chat_id}/messages": {200},
    "POST /api/chats/{chat_id}/read": {200},
    "POST /api/messages": {200, 201},
    "GET /api/messages/search": {200},
    "GET /api/messages/{message_id}": {200},
    "PUT /api/messages/{message_id}": {200},
    "DELETE /api/messages/{message_id}": {204},
    "POST /api/messages/{message_id}/forward": {200, 201},
    "GET /api/messages/{message_id}/receipts": {200},
    "POST /api/files/upload": {200, 201},
    "GET /api/files/{file_id}": {200, 206},
    "DELETE /api/files/{file_id}": {204},
    # More than the contract has: fresh links, uploads that go on later, and those that go to S3 itself.
    "GET /api/files/{file_id}/info": {200},
    "POST /api/files/tus": {200, 201},
    "HEAD /api/files/tus/{file_id}": {200},
    "PATCH /api/files/tus/{file_id}": {204},
    "DELETE /api/files/tus/{file_id}": {204},
    "POST /api/files/direct": {201},
    "POST /api/files/direct/{file_id}": {200, 201},
    "GET /api/users": {200},
    "GET /api/users/{user_id}": {200},
    "GET /api/users/{user_id}/chats": {200},
    "GET /api/contacts": {200},
    # More than the contract has.
    "GET /api/blocks": {200},
    "GET /api/sync": {200},
    "POST /api/calls/start": {201},
    "POST /api/calls/{call_id}/answer": {200},
    "POST /api/calls/{call_id}/end": {200},
    "GET /api/calls/history": {200},
    "GET /api/calls/{call_id}": {200},
    "GET /api/calls/ice-servers": {200},
    "POST /api/users/{user_id}/contacts": {200, 201},
    "DELETE /api/users/{user_id}/contacts": {204},
    "POST /api/users/{user_id}/block": {204},
    "DELETE /api/users/{user_id}/block": {204},
}

WITHOUT_TOKEN = {
    "POST /api/auth/register",
    "POST /api/auth/verify",
    "POST /api/auth/code",
    "POST /api/auth/login",
    "POST /api/auth/refresh",
    "POST /api/auth/password/forgot",
    "POST /api/auth/password/reset",
}

# What the protocol says of single endpoints: the status and the code of a refusal.
REFUSALS: dict[str, set[tuple[int, str]]] = {
    "POST /api/auth/register": {(409, "username_taken")},
    "POST /api/auth/login": {(401, "invalid_credentials")},
    "POST /api/messages": {(409, "client_id_reused"), (403, "forbidden")},
    "POST /api/files/upload": {(409, "file_id_reused")},
    "POST /api/calls/start": {(409, "busy"), (409, "group_calls_unavailable"), (403, "forbidden")},
    "POST /api/calls/{call_id}/answer": {(409, "answered_elsewhere")},
}

# Path: the type of what it answers everybody.
PAGES = {
    "/healthz": "application/json",
    "/readyz": "application/json",
    "/metrics": "text/plain",
    "/docs": "text/html",
    "/openapi.json": "application/json",
    "/asyncapi.json": "application/json",
}


def _fields(names: str) -> set[str]:
    return set(names.split())


OBJECTS: dict[str, set[str]] = {
    "User": _fields("id first_name last_name username bio phone avatar_url status last_seen_at created_at"),
    "Chat": _fields(
        "id type name username description avatar_url created_by created_at updated_at member_count last_seq"
        " last_message peer role unread_count is_pinned is_muted muted_until last_read_message_id last_read_seq"
        # More than the contract has: what clients drop when a history was cleared.
        " cleared_seq revision"
    ),
    "Message": _fields(
        "id chat_id seq sender_id client_id message_type text file reply_to_id forwarded_from_user_id status created_at"
        " edited_at deleted revision service"
    ),
    "File": _fields(
        "id name size mime_type kind status url thumbnails width height duration_seconds preview created_at"
        # More than the contract has: the peaks of a voice message, and why a file has failed.
        " waveform failure"
    ),
    "Call": _fields(
        "id chat_id caller_id callee_id call_type state status end_reason started_at answered_at ended_at"
        # More than the contract has: who is in the call of a group, and which of two events is the later one.
        " duration_seconds participant_ids revision"
    ),
    "Problem": _fields("type title status detail code request_id errors"),
}

# Type of frame: the fields of its data, those that must be there first.
FRAMES: dict[str, tuple[set[str], set[str]]] = {
    "message": ({"chat_id"}, {"text", "file_id", "reply_to_id", "client_id"}),
    "typing": ({"chat_id", "is_typing"}, set()),
    "read_receipt": ({"chat_id", "message_id"}, set()),
    "delivered": ({"chat_id", "message_id"}, set()),
    "presence": ({"status"}, set()),
    "call_signal": ({"call_id", "signal"}, set()),
    "auth": ({"token"}, set()),
    "ping": (set(), set()),
}

# Name of event: the fields of its data that must be there.
EVENT_FIELDS: dict[str, set[str]] = {
    "hello": {"user_id", "session_id", "cursor", "heartbeat_seconds"},
    "ack": {"ref"},
    "error": {"code", "detail"},
    "pong": set(),
    "new_message": OBJECTS["Message"],
    "message_updated": OBJECTS["Message"],
    "message_deleted": {"chat_id", "message_ids", "revision"},
    "typing": {"chat_id", "user_id", "is_typing"},
    "read_receipt": {"chat_id", "user_id", "message_id", "seq", "read_at"},
    "message_status": {"chat_id", "up_to_message_id", "status", "user_id"},
    "presence": {"user_id", "status", "last_seen_at"},
    "unread": {"chat_id", "unread_count", "revision"},
    "chat_updated": OBJECTS["Chat"],
    "chat_removed": {"chat_id", "revision"},
    "file_updated": OBJECTS["File"],
    "member_updated": {"chat_id", "user_id", "role"},
    "call": {"action", "call"},
}


@pytest.fixture
def served(api: Api) -> Callable[[str], Any]:
    """Reads a document of the running API."""
    return lambda path: requests.get(f"{api.url}{path}", timeout=20).json()


def test_the_served_documents_are_those_of_the_code(served: Callable[[str], Any]) -> None:
    assert served("/openapi.json") == REST
    assert served("/asyncapi.json") == EVENTS


def test_every_endpoint_is_in_the_protocol_with_its_statuses_of_success() -> None:
    described = {
        name: {int(status) for status in operation["responses"] if status.startswith("2")}
        for name, operation in rest_operations().items()
    }
    assert described == REST_TABLE


def test_a_token_is_asked_for_except_where_the_protocol_says_otherwise() -> None:
    assert {name for name, operation in rest_operations().items() if not operation["security"]} == WITHOUT_TOKEN


def test_every_endpoint_with_a_token_tells_of_401_and_429_and_every_endpoint_of_503() -> None:
    for name, operation in rest_operations().items():
        needed = {"503"} if name in WITHOUT_TOKEN else {"401", "429", "503"}
        assert needed <= operation["responses"].keys(), name


def test_every_endpoint_tells_of_the_refusals_of_the_conventions() -> None:
    for name, operation in rest_operations().items():
        needed = {"404"} if "{" in name else set()
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            needed |= {"400", "413", "415", "422"}
        assert needed <= operation["responses"].keys(), name


@pytest.mark.parametrize("name", REFUSALS)
def test_an_endpoint_tells_of_the_refusals_that_the_protocol_names(name: str) -> None:
    for status, code in REFUSALS[name]:
        answer = rest_operations()[name]["responses"][str(status)]
        _, described = answer["content"]["application/problem+json"]["schema"]["allOf"]
        assert code in described["properties"]["code"]["enum"], (status, code)


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_for_operators_and_readers_are_open(api: Api, path: str) -> None:
    answer = requests.get(f"{api.url}{path}", timeout=20)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, PAGES[path])


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_has_the_fields_of_the_protocol_and_all_of_them_always(name: str) -> None:
    schema = REST["components"]["schemas"][name]
    assert set(schema["properties"]) == set(schema["required"]) == OBJECTS[name]


def test_the_frames_are_those_of_the_protocol() -> None:
    described = {}
    for name in EVENTS["components"]["messages"]:
        kind, _, role = name.rpartition(".")
        if role == "frame":
            schema = frame_schema(kind)
            needed = set(schema.get("required", ()))
            described[kind] = (needed, set(schema.get("properties", ())) - needed)
            assert schema["additionalProperties"] is False, kind
    assert described == FRAMES


def test_the_events_are_those_of_the_protocol() -> None:
    names = [name for name in EVENTS["components"]["messages"] if name.endswith(".event")]
    described = {
        name.removesuffix(".event"): set(event_schema(name.removesuffix(".event")).get("required", ()))
        for name in names
    }
    assert described == EVENT_FIELDS


def test_the_asyncapi_document_holds_together() -> None:
    assert EVENTS["asyncapi"].startswith("3.")
    assert {"title", "version"} <= EVENTS["info"].keys()
    for reference in references(EVENTS):
        assert resolve(EVENTS, {"$ref": reference}) is not None
    used: set[str] = set()
    for name, operation in EVENTS["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        used |= _messages_of(operation, name)
        if "reply" in operation:
            used |= _messages_of(operation["reply"], name)
    assert used == {
        f"#/channels/{channel}/messages/{message}"
        for channel, described in EVENTS["channels"].items()
        for message in described["messages"]
    }


def _messages_of(operation: dict[str, Any], name: str) -> set[str]:
    """The messages of an operation or its reply, all of which must belong to its channel."""
    messages = {message["$ref"] for message in operation["messages"]}
    assert messages, name
    assert all(message.startswith(f"{operation['channel']['$ref']}/messages/") for message in messages), name
    return messages


def test_every_payload_is_a_json_schema() -> None:
    for message in EVENTS["components"]["messages"].values():
        meta.validate(message["payload"])
    for schema in EVENTS["components"]["schemas"].values():
        meta.validate(schema)


def test_the_events_that_come_are_as_the_document_says(people: People, worker: Worker) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        chat_id = ada.group(bob)
        his.next("chat_updated", id=chat_id)
        first = hers.ask("message", {"chat_id": chat_id, "text": "hello"})["data"]
        his.next("new_message", id=first["id"])
        assert ada.call("PUT", f"/messages/{first['id']}", {"text": "hello!"}).status_code == 200
        his.next("message_updated", id=first["id"])
        assert ada.call("DELETE", f"/messages/{ada.send(chat_id, 'oh')['id']}?for=everyone").status_code == 204
        his.next("message_deleted", chat_id=chat_id)
        his.ask("typing", {"chat_id": chat_id, "is_typing": True})
        hers.next("typing", user_id=bob.id)
        his.ask("delivered", {"chat_id": chat_id, "message_id": first["id"]})
        hers.next("message_status", status="delivered")
        his.ask("read_receipt", {"chat_id": chat_id, "message_id": first["id"]})
        hers.next("read_receipt", user_id=bob.id)
        his.frame("ping")
        his.next("pong")
        # Who has only opened a direct chat follows nobody.
        ada.send(ada.direct_chat(bob), "hello")
        his.ask("presence", {"status": "away"})
        hers.next("presence", user_id=bob.id, status="away")
        call_id = ada.post("/calls/start", {"user_id": bob.id, "call_type": "audio"})["id"]
        bob.post(f"/calls/{call_id}/answer")
        hers.ask("call_signal", {"call_id": call_id, "signal": {"candidate": None}})
        his.next("call", action="signal")
        bob.post(f"/calls/{call_id}/end")
        hers.next("call", action="ended")
        assert ada.call("PATCH", f"/chats/{chat_id}/members/{bob.id}", {"role": "admin"}).status_code == 200
        hers.next("member_updated", user_id=bob.id, role="admin")
        assert ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}").status_code == 204
        hers.next("member_updated", user_id=bob.id, role=None)
        his.next("chat_removed", chat_id=chat_id)
        uploaded(ada, b"hello")
        hers.next("file_updated", status="ready")
        his.frame("typing", {"chat_id": chat_id}, ref="refused")
        his.frame("nonsense")
        his.quiet()
        _assert_all_described(hers, his)


def _assert_all_described(*sockets: Socket) -> None:
    seen = [event for socket in sockets for event in socket.events]
    for event in seen:
        schema = EVENTS["components"]["messages"][f"{event['event']}.event"]["payload"]
        validator = Draft202012Validator({**schema, "components": EVENTS["components"]})
        problems = [f"{problem.instance_path}: {problem.message}" for problem in validator.iter_errors(event)]
        assert problems == [], event
    assert {event["event"] for event in seen} == EVENT_FIELDS.keys()

"""Every endpoint and every frame against input that no client in good faith sends.

Whatever comes, REST answers 4xx with a problem, and a socket an `error` frame, and lives. Which fields there are is
read from the documents, so a new endpoint or frame is attacked as soon as it is declared.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket as sockets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.contract import hostile
from tests.contract.documents import EVENTS, REST, body_schema, frame_schema, rest_operations
from tests.people import PASSWORD, Person, Socket
from tests.processes import Api

People = Callable[[int], list[Person]]

OPERATIONS = rest_operations()
WITH_BODY = [
    name
    for name, operation in OPERATIONS.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
]
WITH_QUERY = [
    name for name, operation in OPERATIONS.items() if any(p["in"] == "query" for p in operation["parameters"])
]
WITH_PATH = [name for name, operation in OPERATIONS.items() if any(p["in"] == "path" for p in operation["parameters"])]
FRAMES = [name.removesuffix(".frame") for name in EVENTS["components"]["messages"] if name.endswith(".frame")]

# The most that a refusal may weigh, in bytes.
SMALL = 4000

GOOD: dict[str, Any] = {
    "phone": "+15550001111",
    "password": PASSWORD,
    "first_name": "Eve",
    "username": "eve_the_attacker",
    "code": "000000",
    "refresh_token": "x",
    "old_password": "wrong",
    "new_password": PASSWORD,
    "type": "group",
    "name": "A group",
    "text": "hello",
    "token": "x",
    "status": "online",
    "is_typing": True,
    "user_ids": [1],
    "role": "member",
    "pinned": True,
    "muted": True,
    "chat_ids": [1],
    "size": 1,
    "call_type": "audio",
    "call_id": 1,
    "signal": {},
}


def good(schema: dict[str, Any], chat_id: int) -> dict[str, Any]:
    """A body in which only what is put in next is wrong."""
    wanted = {*schema.get("required", ()), *({"name", "text"} & schema.get("properties", {}).keys())}
    values = GOOD | {"chat_id": chat_id, "message_id": 1}
    return {name: values[name] for name in sorted(wanted)}


def bad_values(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each field with each value that it does not take: field, what it is, its JSON."""
    for field, described in schema.get("properties", {}).items():
        for about, value in hostile.NEVER.items():
            yield field, about, value
        for about, value in hostile.SOMETIMES.items():
            if not hostile.is_acceptable(described, document, value):
                yield field, about, value


def send(person: Person, name: str, path: str = "", **options: Any) -> requests.Response:
    method, _, template = name.partition(" /api")
    return person.call(method, path or fill(template), headers=options.pop("headers", {}), **options)


def fill(template: str, **values: Any) -> str:
    """A path whose ids are nobody's unless they are given."""
    nobodys = "00000000-0000-4000-8000-000000000000"
    ids: dict[str, Any] = dict.fromkeys(("chat_id", "user_id", "message_id", "call_id"), 1)
    ids |= dict.fromkeys(("session_id", "file_id"), nobodys)
    return template.format(**(ids | values))


def verdict(answer: requests.Response) -> str:
    """What is wrong with a refusal; empty where it is as it should be."""
    if not 400 <= answer.status_code < 500:
        return f"{answer.status_code}"
    if answer.headers["Content-Type"] != "application/problem+json":
        return answer.headers["Content-Type"]
    return f"{len(answer.content)} bytes" if len(answer.content) > SMALL else ""


def rest_json(person: Person, name: str, path: str, raw: bytes) -> requests.Response:
    return send(person, name, path, data=raw, headers={"Content-Type": "application/json"})


@pytest.fixture
def attacker(people: People) -> tuple[Person, int]:
    """Somebody signed in, and a chat that they are in."""
    (eve,) = people(1)
    return eve, eve.post("/chats", {"type": "direct", "user_id": eve.id})["id"]


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_bad_field_is_refused(attacker: tuple[Person, int], name: str) -> None:
    eve, chat_id = attacker
    schema = body_schema(OPERATIONS[name])
    assert schema is not None
    path = fill(name.partition(" /api")[2], chat_id=chat_id, user_id=eve.id)
    body = good(schema, chat_id)
    wrong = {}
    for field, about, value in bad_values(schema, REST):
        problem = verdict(rest_json(eve, name, path, hostile.with_field(body, field, value)))
        if problem:
            wrong[f"{field}: {about}"] = problem
    assert wrong == {}


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_that_is_no_such_object_is_refused(attacker: tuple[Person, int], name: str) -> None:
    eve, chat_id = attacker
    path = fill(name.partition(" /api")[2], chat_id=chat_id)
    answers = {about: verdict(rest_json(eve, name, path, raw)) for about, raw in hostile.BODIES.items()}
    assert {about: problem for about, problem in answers.items() if problem} == {}


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_of_another_type_is_refused_and_a_chunked_one_is_read(attacker: tuple[Person, int], name: str) -> None:
    eve, chat_id = attacker
    schema = body_schema(OPERATIONS[name])
    assert schema is not None
    path = fill(name.partition(" /api")[2], chat_id=chat_id)
    body = good(schema, chat_id)
    for content_type in hostile.CONTENT_TYPES:
        raw = json.dumps(body).encode()
        answer = send(eve, name, path, data=raw, headers={"Content-Type": content_type})
        assert answer.status_code == 415, content_type
    raw = json.dumps(body | {"unknown": 1}).encode()
    chunked = send(eve, name, path, data=iter([raw[:5], raw[5:]]), headers={"Content-Type": "application/json"})
    assert [error["field"] for error in chunked.json()["errors"]] == ["unknown"]


@pytest.mark.parametrize("name", WITH_QUERY)
def test_a_bad_query_is_no_defect(attacker: tuple[Person, int], name: str) -> None:
    eve, chat_id = attacker
    path = fill(name.partition(" /api")[2], chat_id=chat_id)
    fields = [parameter["name"] for parameter in OPERATIONS[name]["parameters"] if parameter["in"] == "query"]
    needed = "" if "q" not in fields else "&q=a"
    wrong = {}
    for field in fields:
        for value in hostile.QUERY_VALUES:
            answer = send(eve, name, f"{path}?{field}={value}{needed if field != 'q' else ''}")
            if answer.status_code not in (200, 204) and verdict(answer):
                wrong[f"{field}={value[:20]}"] = verdict(answer)
    assert wrong == {}
    for query in ("unknown=1", f"{fields[0]}=1&{fields[0]}=1", "=1", "%00=1", "limit[]=1"):
        assert verdict(send(eve, name, f"{path}?{query}{needed}")) == "", query


@pytest.mark.parametrize(
    "name", [name for name in WITH_QUERY if "cursor" in json.dumps(OPERATIONS[name]["parameters"])]
)
def test_a_forged_cursor_is_no_defect(attacker: tuple[Person, int], name: str) -> None:
    eve, chat_id = attacker
    path = fill(name.partition(" /api")[2], chat_id=chat_id)
    needed = "&q=a" if '"q"' in json.dumps(OPERATIONS[name]["parameters"]) else ""
    wrong = {}
    for position in hostile.POSITIONS:
        cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).rstrip(b"=").decode()
        answer = send(eve, name, f"{path}?cursor={cursor}{needed}")
        if answer.status_code != 200 and verdict(answer):
            wrong[str(position)] = verdict(answer)
    assert wrong == {}


@pytest.mark.parametrize("name", WITH_PATH)
def test_a_bad_id_in_a_path_is_unknown(attacker: tuple[Person, int], name: str) -> None:
    eve, _ = attacker
    template = name.partition(" /api")[2]
    answers = {value: _by_path(eve, name, template, value) for value in hostile.PATH_VALUES}
    assert {value: problem for value, problem in answers.items() if problem} == {}


def _by_path(person: Person, name: str, template: str, value: str) -> str:
    path = fill(
        template, chat_id=value, user_id=value, message_id=value, call_id=value, session_id=value, file_id=value
    )
    answer = rest_json(person, name, path, b"{}")
    return verdict(answer) or ("an injected header" if "X-Injected" in answer.headers else "")


@pytest.mark.parametrize("kind", FRAMES)
def test_a_bad_field_of_a_frame_is_answered_by_an_error_with_its_ref(attacker: tuple[Person, int], kind: str) -> None:
    eve, chat_id = attacker
    schema = frame_schema(kind)
    body = good(schema, chat_id)
    wrong = {}
    with eve.socket() as socket:
        for ref, (field, about, value) in enumerate(bad_values(schema, EVENTS)):
            data = hostile.with_field(body, field, value).decode()
            frame = f'{{"type":"{kind}","ref":{ref},"data":{data}}}'
            if len(frame.encode()) > 65_536:
                continue
            problem = _frame_verdict(socket, frame, ref)
            if problem:
                wrong[f"{field}: {about}"] = problem
        assert wrong == {}
        assert socket.ask("ping")["event"] == "ack"


def _frame_verdict(socket: Socket, frame: str, ref: int) -> str:
    """What is wrong with the answer to a bad frame."""
    socket.raw(frame)
    answer = socket.until(lambda event: event["event"] in ("ack", "error"))
    if answer["event"] == "ack":
        return "ack"
    data = answer["data"]
    if data["code"] not in ("malformed_request", "validation_failed"):
        return str(data["code"])
    # Where the JSON cannot be read as a whole, its `ref` cannot either.
    return "" if data.get("ref") == ref or data["code"] == "malformed_request" else f"ref {data.get('ref')}"


ENVELOPES = {
    "no data where data is needed": '{"type":"message","ref":"r"}',
    "an unknown field of odd letters": '{"type":"ping","\\ud800":1}',
    "an unknown field with a NUL": '{"type":"ping","\\u0000":1}',
    "four thousand unknown fields": json.dumps({"type": "ping", **{f"f{number}": 1 for number in range(4000)}}),
    "a type of odd letters": '{"type":"\\udfff"}',
    "a type of 60,000 letters": json.dumps({"type": "x" * 60_000}),
    "a ref of 60,000 letters": json.dumps({"type": "ping", "ref": "x" * 60_000}),
    "a ref that is a fraction": '{"type":"ping","ref":1.5}',
    "a ref that is no number": '{"type":"ping","ref":NaN}',
    "a ref that is a list": '{"type":"ping","ref":["r"]}',
    "a ref of a lone surrogate": '{"type":"ping","ref":"\\ud800"}',
    "a ref that breaks lines": '{"type":"ping","ref":"a\\nb"}',
    "data that is no number": '{"type":"ping","data":NaN}',
    "data that is endless": '{"type":"ping","data":Infinity}',
    "data with an unknown field of odd letters": '{"type":"ping","data":{"\\ud800":1}}',
    "data with three thousand unknown fields": json.dumps({"type": "ping", "data": {f"f{n}": 1 for n in range(3000)}}),
    "two documents": '{"type":"ping"}{"type":"ping"}',
    "a byte order mark": '\ufeff{"type":"ping"}',
    "a capital letter": '{"type":"PING"}',
    "a prototype": '{"__proto__":{"type":"ping"}}',
    "deep data": '{"type":"ping","data":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
}


@pytest.mark.parametrize("text", ENVELOPES.values(), ids=ENVELOPES.keys())
def test_a_bad_envelope_gets_one_small_error_and_the_socket_lives(attacker: tuple[Person, int], text: str) -> None:
    eve, _ = attacker
    with eve.socket() as socket:
        socket.raw(text)
        answer = socket.read()
        assert answer["event"] == "error"
        assert answer["data"]["code"] in ("malformed_request", "validation_failed")
        assert len(json.dumps(answer)) <= SMALL
        assert socket.ask("ping")["event"] == "ack"


def test_the_last_of_two_equal_names_counts_in_a_frame(attacker: tuple[Person, int]) -> None:
    eve, _ = attacker
    with eve.socket() as socket:
        socket.raw('{"type":"nonsense","type":"ping","ref":1,"ref":2,"data":[],"data":{}}')
        assert socket.next("ack") == {"ref": 2}


HANDSHAKES = {
    "no upgrade": {"Sec-WebSocket-Key": "YWFhYWFhYWFhYWFhYWFhYQ=="},
    "no connection": {"Upgrade": "websocket", "Sec-WebSocket-Key": "YWFhYWFhYWFhYWFhYWFhYQ=="},
    "no version": {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "YWFhYWFhYWFhYWFhYWFhYQ=="},
    "an old version": {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "YWFhYWFhYWFhYWFhYWFhYQ==",
        "Sec-WebSocket-Version": "8",
    },
    "a short key": {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "x",
        "Sec-WebSocket-Version": "13",
    },
    "an odd subprotocol": {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "YWFhYWFhYWFhYWFhYWFhYQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "\xe9,,",
    },
    "another protocol": {
        "Upgrade": "h2c",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "YWFhYWFhYWFhYWFhYWFhYQ==",
        "Sec-WebSocket-Version": "13",
    },
}


@pytest.mark.parametrize("headers", HANDSHAKES.values(), ids=HANDSHAKES.keys())
def test_a_bad_handshake_is_refused_with_4xx_or_4401_and_is_no_defect(api: Api, headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with sockets.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        connection.sendall(f"GET /ws?token=x HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1"))
        answer = connection.recv(65_536)
    status = int(answer.split(b" ", 2)[1])
    assert status == 101 or 400 <= status < 500, answer[:500]


@pytest.mark.parametrize("opcode", [0x9, 0xA, 0x0], ids=["pings", "pongs", "empty parts of a message"])
def test_a_flood_on_one_socket_does_not_keep_others_from_being_served(people: People, opcode: int) -> None:
    ada, eve = people(2)
    over = threading.Event()
    flooding = eve.socket()
    assert flooding.socket.sock is not None
    raw: sockets.socket = flooding.socket.sock
    # An unfinished text first, so that the parts belong to one; every frame is empty and masked with zeros.
    raw.sendall(b"\x01\x80\0\0\0\0" if opcode == 0 else b"")
    flood = bytes((0x80 | opcode if opcode else 0, 0x80, 0, 0, 0, 0))

    def send() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                raw.sendall(flood * 10_000)

    def receive() -> None:
        with contextlib.suppress(OSError):
            while raw.recv(1_000_000):
                pass

    threads = [threading.Thread(target=send), threading.Thread(target=receive)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert ada.call("GET", "/auth/me").status_code == 200
    finally:
        over.set()
        raw.shutdown(sockets.SHUT_RDWR)
        for thread in threads:
            thread.join()
        flooding.socket.shutdown()

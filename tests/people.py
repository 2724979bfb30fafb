"""People who use a running Paperplane over HTTP and sockets, each signed in on a session of their own."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import uuid4

import requests
import websocket
from flask import Flask
from requests.adapters import HTTPAdapter
from sqlalchemy import insert

from app.auth import tokens
from app.auth.schemas import NewUser
from app.auth.service import create_users
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.passwords import hash_password
from app.models import Session
from tests.unique import new_phone

PASSWORD = "correct horse battery"
# Generous: a machine that is busy is no defect. Shorter than a heartbeat, by which a socket learns what it missed.
_SECONDS = 20
_ANSWER_SECONDS = 60


@lru_cache(maxsize=1)
def _password_hash() -> str:
    return hash_password(PASSWORD)


@lru_cache(maxsize=1)
def connections() -> requests.Session:
    """The keep-alive connections of all people; closed when the tests end."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_connections=50, pool_maxsize=50))
    return session


@dataclass
class Person:
    """Somebody with an account and one signed-in session, reached at `url`."""

    id: int
    phone: str
    username: str
    session_id: str
    access_token: str
    url: str = ""

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """One request below /api with the access token."""
        headers = {"Authorization": f"Bearer {self.access_token}"} | options.pop("headers", {})
        return connections().request(
            method, f"{self.url}/api{path}", json=body, headers=headers, timeout=_ANSWER_SECONDS, **options
        )

    def get(self, path: str, **query: Any) -> Any:
        """A GET that must succeed: its JSON."""
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def caught_up(self) -> str:
        """A cursor past all that this person may see; one of now may stand before what just happened.

        It waits as long as others write, whose transactions hold cursors back.
        """
        cursor = None
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            page = self.get("/sync", **({} if cursor is None else {"cursor": cursor}))
            cursor = str(page["next_cursor"])
            if not (page["chats"] or page["messages"] or page["removed_chat_ids"]):
                return cursor
            assert time.monotonic() < deadline, "the changes never ended"

    def post(self, path: str, body: Any = None, status: int | tuple[int, ...] = (200, 201)) -> Any:
        """A POST that must succeed: its JSON."""
        answer = self.call("POST", path, {} if body is None else body)
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
        return answer.json() if answer.content else None

    def direct_chat(self, other: Person) -> int:
        """The id of the direct chat with another person."""
        chat_id: int = self.post("/chats", {"type": "direct", "user_id": other.id})["id"]
        return chat_id

    def group(self, *others: Person, name: str = "A group") -> int:
        """The id of a new group with these people."""
        body = {"type": "group", "name": name, "member_ids": [other.id for other in others]}
        chat_id: int = self.post("/chats", body)["id"]
        return chat_id

    def send(self, chat_id: int, text: str, **fields: Any) -> Any:
        """Sends a message over REST: the Message."""
        return self.post("/messages", {"chat_id": chat_id, "text": text, **fields})

    def socket(self, url: str | None = None, **options: Any) -> Socket:
        """A socket that has been greeted, here or at another API process."""
        return Socket(self, url or self.url, **options)


class Socket:
    """One WebSocket; keeps every event that it has read."""

    def __init__(self, person: Person, url: str, token: str | None = None, **options: Any) -> None:
        address = f"{url.replace('http', 'ws', 1)}/ws?token={token or person.access_token}"
        self.socket = websocket.create_connection(address, timeout=_SECONDS, **options)
        self.events: list[dict[str, Any]] = []
        self.hello = self.next("hello")

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.shutdown()

    def frame(self, kind: str, data: Any = None, ref: Any = None) -> None:
        """Sends a frame."""
        frame = {"type": kind, "data": {} if data is None else data}
        self.raw(json.dumps(frame if ref is None else frame | {"ref": ref}))

    def raw(self, text: str) -> None:
        """Sends text as it is."""
        self.socket.send(text)

    def ask(self, kind: str, data: Any = None) -> dict[str, Any]:
        """Sends a frame with a new ref, and waits for its `ack` or `error`."""
        ref = secrets.token_hex(4)
        self.frame(kind, data, ref)
        return self.until(lambda event: event["event"] in ("ack", "error") and event["data"].get("ref") == ref)

    def read(self) -> dict[str, Any]:
        """The next event, whatever it is."""
        event: dict[str, Any] = json.loads(self.socket.recv())
        self.events.append(event)
        return event

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Reads events until a wanted one comes; fails the test when none does."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            event = self.read()
            if wanted(event):
                return event
        raise AssertionError(f"not among {[event['event'] for event in self.events]}")

    def next(self, name: str, **fields: Any) -> dict[str, Any]:
        """The data of the next event of this name whose data has these values."""

        def fits(event: dict[str, Any]) -> bool:
            data = event["data"]
            return event["event"] == name and all(data.get(key) == value for key, value in fields.items())

        data: dict[str, Any] = self.until(fits)["data"]
        return data

    def quiet(self, kind: str = "ping") -> list[dict[str, Any]]:
        """What has come until now: everything before the answer to a frame that asks for one."""
        begin = len(self.events)
        self.ask(kind)
        return self.events[begin:-1]

    def close_code(self) -> int:
        """Reads until the server closes; its code."""
        return close_code(self.socket)


def close_code(socket: websocket.WebSocket) -> int:
    """Reads until the server closes; its code. Leaves the answer out, so that the server may be gone already."""
    while True:
        frame = socket.recv_frame()
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(frame.data[:2], "big")


def make_people(app: Flask, count: int, url: str = "") -> list[Person]:
    """New people with a session each, made in the database, without codes."""
    rows = [NewUser(new_phone(), f"Ada{n}", None, f"user_{secrets.token_hex(8)}") for n in range(count)]
    with app.app_context(), unit_of_work() as unit:
        ids = create_users(unit, rows, _password_hash())
        return [_signed_in(unit, user_id, row, url) for user_id, row in zip(ids, rows, strict=True)]


def _signed_in(unit: UnitOfWork, user_id: int, row: NewUser, url: str) -> Person:
    session_id, token_id = uuid4(), tokens.new_token_id()
    unit.execute(
        insert(Session).values(
            id=session_id,
            user_id=user_id,
            refresh_hash=tokens.digest(token_id),
            device="test",
            expires_at="infinity",
        )
    )
    pair = tokens.make_pair(user_id, session_id, token_id)
    return Person(user_id, row.phone, str(row.username), str(session_id), pair["access_token"], url)

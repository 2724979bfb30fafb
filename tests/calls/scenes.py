"""What the tests of calls share: two who know each other, further devices of theirs, and what must hold of a call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from flask import Flask
from sqlalchemy import insert

from app.auth import tokens
from app.infra.db import unit_of_work
from app.models import Session
from tests.factories import scalar
from tests.people import Person, Socket

People = Callable[[int], list[Person]]


def another_device(app: Flask, person: Person) -> Person:
    """The same person, signed in on one more device."""
    session_id, token_id = uuid4(), tokens.new_token_id()
    with app.app_context(), unit_of_work() as unit:
        row = {"id": session_id, "user_id": person.id, "refresh_hash": tokens.digest(token_id), "device": "test"}
        unit.execute(insert(Session).values(expires_at="infinity", **row))
        pair = tokens.make_pair(person.id, session_id, token_id)
    return replace(person, session_id=str(session_id), access_token=pair["access_token"])


def ring(caller: Person, callee: Person, call_type: str = "audio") -> dict[str, Any]:
    """A call that rings, as who made it sees it."""
    call: dict[str, Any] = caller.post("/calls/start", {"user_id": callee.id, "call_type": call_type}, 201)
    return call


def talk(caller: Person, callee: Person) -> int:
    """The id of a call that was answered."""
    call_id: int = ring(caller, callee)["id"]
    callee.post(f"/calls/{call_id}/answer", status=200)
    return call_id


def refused(person: Person, path: str, body: Any = None) -> str:
    """The code with which a POST is refused."""
    answer = person.call("POST", path, {} if body is None else body)
    assert answer.status_code >= 400, answer.text
    code: str = answer.json()["code"]
    return code


def actions(socket: Socket, call_id: int) -> list[str]:
    """What a socket has been told of a call until now, in order."""
    socket.quiet()
    told = [event["data"] for event in socket.events if event["event"] == "call"]
    return [data["action"] for data in told if data["call"]["id"] == call_id]


def notices_of(call_id: int) -> int:
    """How many service messages tell of the end of a call."""
    said = "SELECT count(*) FROM messages WHERE service ->> 'action' = 'call' AND service ->> 'call_id' = :id"
    count = scalar(said, id=str(call_id))
    assert isinstance(count, int)
    return count


def make_overdue(call_id: int) -> None:
    """Sets the time at which a call stops ringing back, as if it had rung all the while."""
    scalar("UPDATE calls SET deadline = clock_timestamp() - interval '1 s' WHERE id = :id RETURNING id", id=call_id)

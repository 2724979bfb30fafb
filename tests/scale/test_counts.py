"""What the commonest actions cost: their round trips to PostgreSQL and their events, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson
import pytest
from flask import Flask

from app.infra import bus, jobs
from app.infra.db import reading
from app.infra.redis import client
from app.infra.redis_writer import writer
from app.messages import unread
from app.realtime.frames import CLIENT_FRAMES
from app.sync.service import current_cursor
from app.web.authentication import Caller
from app.web.socket import FrameContext
from tests.counting import counted_statements
from tests.people import Person, make_people

_GROUP = 10
_SESSION = ("session_lives", "the session may have been signed out a moment ago")


class Scene(NamedTuple):
    """A group of ten in which the first has written five messages."""

    app: Flask
    people: list[Person]
    chat_id: int
    cursor: str

    def ask(self, person: Person, method: str, path: str, body: Any = None) -> None:
        """A request to the application in this process, which must succeed."""
        headers = {"Authorization": f"Bearer {person.access_token}"}
        answer = self.app.test_client().open(f"/api{path}", method=method, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text

    def frame(self, person: Person, kind: str, **fields: Any) -> None:
        """A frame, as the gateway hands it on."""
        spec = CLIENT_FRAMES[kind]
        assert spec.handler is not None
        context = FrameContext(Caller(person.id, person.session_id, float("inf")), "a socket")
        spec.handler(context, spec.data.model_validate_json(orjson.dumps({"chat_id": self.chat_id, **fields})))


@pytest.fixture
def scene(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Scene:
    # The worker of other tests must not tell of its work here.
    for mark in ("mark_for_fanout", "mark_for_receipts"):
        monkeypatch.setattr(jobs, mark, lambda _chat_id: None)
    people = make_people(app, _GROUP)
    body = {"type": "group", "name": "A group", "member_ids": [person.id for person in people[1:]]}
    headers = {"Authorization": f"Bearer {people[0].access_token}"}
    chat_id = app.test_client().post("/api/chats", json=body, headers=headers).get_json()["id"]
    with reading() as unit:
        found = Scene(app, people, chat_id, current_cursor(unit))
    for number in range(5):
        found.frame(people[0], "message", text=f"Hello {number}")
    return found


class Action(NamedTuple):
    """Something done in a scene, and what it may cost."""

    name: str
    act: Callable[[Scene], object]
    statements: dict[str, str]
    """Statements by name, in their order, each with the reason for it."""
    events: dict[str, str]
    """Where it publishes (to the chat, or to how many of its people), by event or order to the hubs."""


_SEND = {
    "send_batch": "locks the chat, checks, stores and remembers: two prepared statements in one message, one commit"
}
_READ = {
    "read_target": "up to where, and whether the caller is in the chat",
    "lock_state": "what was counted must be seen after the lock, not before it",
    "mark_read": "moves the mark and queues the receipts",
    "read_state": "the answer",
    "mark_authors": "who is told that it was read",
}
_TOLD_OF_READING = {
    "unread": "1 person",  # the reader's own devices
    "read_receipt": "the chat",
    "message_status": "1 person",  # the author
}

ACTIONS = [
    Action(
        "a send over REST",
        lambda s: s.ask(s.people[0], "POST", "/messages", {"chat_id": s.chat_id, "text": "Hello"}),
        _SEND,
        {"new_message": "the chat"},
    ),
    Action(
        "a send over a socket",
        lambda s: s.frame(s.people[0], "message", text="Hello"),
        _SEND,
        {"new_message": "the chat"},
    ),
    Action(
        "the list of chats",
        lambda s: s.ask(s.people[1], "GET", "/chats"),
        {"chat_list_in_session": "whether the session lives; chats, peers, last messages and exact counts at once"},
        {},
    ),
    Action(
        "a page of history",
        lambda s: s.ask(s.people[1], "GET", f"/chats/{s.chat_id}/messages"),
        {"history_older_in_session": "whether the session lives and the caller is in the chat, and the page"},
        {},
    ),
    Action(
        "catching up",
        lambda s: s.ask(s.people[1], "GET", f"/sync?cursor={s.cursor}"),
        {
            "sync_page_in_session": "whether the session lives; up to where all is committed, looked at in a statement"
            " of its own in the same message; and then messages, chats and how these look, as of one moment"
        },
        {},
    ),
    Action(
        "the first snapshot",
        lambda s: s.ask(s.people[1], "GET", "/sync"),
        {"sync_page_in_session": "the same, for the cursor that goes with it; and no messages"},
        {},
    ),
    Action(
        "reading over REST",
        lambda s: s.ask(s.people[1], "POST", f"/chats/{s.chat_id}/read", {}),
        dict([_SESSION, *_READ.items()]),
        _TOLD_OF_READING,
    ),
    Action(
        "the fan-out of a send",
        lambda s: unread.fan_out_all([s.chat_id]),
        {
            "unread_progress": "whether anything is due",
            "synchronous_commit": "what a crash takes back the sweep redoes",
            "unread_lock_chats": "the members who are behind",
            "unread_count": "counts for all of them",
            "unread_finish": "how far the chat is",
        },
        {"seq": "the chat"},
    ),
]


@contextmanager
def published(chat_id: int, people: list[Person]) -> Iterator[dict[str, str]]:
    """Fills in what was published to a chat and its people meanwhile, once the block ends."""
    found: dict[str, str] = {}
    of_chat = {bus.chat_messages(chat_id), bus.chat_typing(chat_id)}
    of_people = {channel(person.id) for person in people for channel in (bus.user_notifications, bus.user_status)}
    end = bus.chat_typing(chat_id)
    assert writer().flush(5)
    with client().pubsub() as subscription:
        subscription.subscribe(*of_chat, *of_people)
        for _ in of_chat | of_people:
            assert subscription.get_message(timeout=5) is not None
        yield found
        assert writer().flush(5)
        client().publish(end, b"end\n")
        told: dict[str, list[str]] = {}
        while (message := subscription.get_message(timeout=5)) is not None and message["data"] != b"end\n":
            header, frame = bus.parse(message["data"])
            name = orjson.loads(frame)["event"] if frame else header["control"]
            told.setdefault(name, []).append(message["channel"].decode())
    for name, channels in told.items():
        people_told = [channel for channel in channels if channel in of_people]
        chat_told = "the chat" if len(channels) == 1 and not people_told else f"{len(channels)} times"
        found[name] = f"{len(channels)} person" if len(people_told) == len(channels) == 1 else chat_told


def _name(statement: str) -> str:
    """What was executed last in one message to PostgreSQL: the prepared statement, or the setting."""
    return statement.rsplit("EXECUTE ", 1)[-1].removeprefix("SET LOCAL ").split()[0]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_an_action_costs_these_round_trips_and_these_events(scene: Scene, action: Action) -> None:
    with published(scene.chat_id, scene.people) as events, counted_statements() as statements:
        action.act(scene)
    assert [_name(statement) for statement in statements] == list(action.statements)
    assert events == action.events

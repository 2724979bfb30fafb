"""Who may follow when a person comes and goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from app.infra import presence as leases
from app.realtime import presence
from app.web.authentication import Caller
from config import settings
from tests.people import Person, Socket
from tests.processes import eventually

People = Callable[[int], list[Person]]


def comes_and_goes(person: Person, witness: Socket) -> None:
    """Opens a socket and closes it; returns when a witness was told of both."""
    with person.socket():
        witness.next("presence", user_id=person.id, status="online")
    witness.next("presence", user_id=person.id, status="offline")


def told(socket: Socket, person: Person) -> list[Any]:
    """The statuses of a person that a socket was told of until now; one that is told once more stands there once."""
    socket.quiet()
    events = [event["data"] for event in socket.events if event["event"] == "presence"]
    return [status for status, _ in groupby(data["status"] for data in events if data["user_id"] == person.id)]


def test_who_only_opened_a_direct_chat_follows_nobody_until_its_first_message(people: People) -> None:
    ada, stranger, friend = people(3)
    friend.post(f"/users/{ada.id}/contacts")
    chat_id = stranger.direct_chat(ada)
    with stranger.socket() as curious, friend.socket() as witness:
        comes_and_goes(ada, witness)
        assert told(curious, ada) == []
        stranger.send(chat_id, "hello")
        comes_and_goes(ada, witness)
        # That she went may be told once more, the first time too.
        assert told(curious, ada)[-2:] == ["online", "offline"]
        assert told(curious, ada).count("online") == 1


def test_who_opened_a_direct_chat_shows_the_other_when_they_come_and_go(people: People) -> None:
    ada, bob, friend = people(3)
    friend.post(f"/users/{ada.id}/contacts")
    ada.direct_chat(bob)
    with bob.socket() as his, friend.socket() as witness:
        comes_and_goes(ada, witness)
        assert told(his, ada) == ["online", "offline"]


def test_a_block_and_its_end_tell_nothing_to_who_only_opened_a_direct_chat(people: People) -> None:
    ada, stranger = people(2)
    stranger.direct_chat(ada)
    with stranger.socket() as curious, ada.socket():
        eventually(lambda: stranger.get(f"/users/{ada.id}")["status"] == "online")
        for method in ("POST", "DELETE"):
            assert ada.call(method, f"/users/{stranger.id}/block").status_code == 204
        # A sign that all before has come, on the same way.
        ada.post(f"/users/{stranger.id}/contacts")
        chat_id = stranger.group()
        curious.next("chat_updated", id=chat_id)
        assert told(curious, ada) == []


def test_the_blocked_see_neither_presence_nor_when_somebody_was_last_seen(people: People) -> None:
    ada, bob, friend = people(3)
    friend.post(f"/users/{ada.id}/contacts")
    bob.post(f"/users/{ada.id}/contacts")
    chat_id = bob.direct_chat(ada)
    bob.send(chat_id, "hello")
    assert ada.call("POST", f"/users/{bob.id}/block").status_code == 204
    with bob.socket() as his, friend.socket() as witness:
        comes_and_goes(ada, witness)
        assert told(his, ada) == []
    for seen in (bob.get(f"/users/{ada.id}"), bob.get(f"/chats/{chat_id}")["peer"]):
        assert (seen["status"], seen["last_seen_at"]) == ("offline", None)


def test_a_lease_that_begins_only_after_its_connection_is_gone_does_not_last(people: People) -> None:
    (ada,) = people(1)
    hers = Caller(ada.id, ada.session_id, math.inf)
    presence.disconnected(hers, "quick")
    presence.connected(hers, "quick", lambda: False)
    assert ada.get("/auth/me")["status"] == "offline"
    presence.connected(hers, "slow", lambda: True)
    assert ada.get("/auth/me")["status"] == "online"
    presence.disconnected(hers, "slow")


def test_one_sweep_sees_to_all_whom_a_dead_process_left(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = people(5)
    for person in crowd:
        leases.renew(person.id, "dead", 1, "online")
    time.sleep(1.1)
    monkeypatch.setattr(leases, "SWEEP_BATCH", 2)
    assert presence.sweep() >= len(crowd)


def test_who_is_gone_with_a_process_is_told_to_be_within_a_minute() -> None:
    longest_wait = 2 * settings().sweep_interval
    assert leases.lease_seconds() + longest_wait <= 55, "with room for the telling"

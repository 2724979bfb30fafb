"""The counts that members are told: exact, and of two that overtook each other it shows which is the later one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from sqlalchemy import text

from app.infra import presence
from app.infra.db import unit_of_work
from app.messages import queries, unread
from tests.people import Person, Socket
from tests.processes import eventually

People = Callable[[int], list[Person]]


@pytest.fixture
def scene(people: People) -> tuple[Person, Person, int]:
    """Two people, and their direct chat."""
    ada, bob = people(2)
    return ada, bob, ada.direct_chat(bob)


def store(person: Person, chat_id: int, words: str) -> int:
    """Stores a message without asking for a fan-out, which the worker of other tests would do here too; its id."""
    (sent,) = queries.send_batch([queries.Send(chat_id, person.id, person.session_id, None, b"", "text", words, None)])
    assert sent.message_id is not None
    return sent.message_id


def told(socket: Socket, chat_id: int) -> list[dict[str, Any]]:
    """The counts of a chat that a socket was told so far."""
    socket.quiet()
    return [event["data"] for event in socket.events if event["event"] == "unread"]


def listed(person: Person, chat_id: int) -> int:
    count: int = person.get(f"/chats/{chat_id}")["unread_count"]
    return count


def is_online(person: Person) -> bool:
    return presence.statuses([person.id])[person.id] == "online"


def fan_out_overtaken_by(action: Callable[[], object], chat_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts, and does something else between the commit of the counts and the telling of them."""
    real = presence.connected

    def connected(user_ids: Collection[int]) -> set[int] | None:
        action()
        return real(user_ids)

    with monkeypatch.context() as patch:
        patch.setattr(presence, "connected", connected)
        assert unread.fan_out_all([chat_id]) > 0


@pytest.mark.parametrize("how", ["read", "deletion"])
def test_a_count_that_a_newer_one_overtook_is_known_by_its_lower_revision(
    scene: tuple[Person, Person, int], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ada, bob, chat_id = scene
    with bob.socket() as socket:
        eventually(lambda: is_online(bob))
        message_id = store(ada, chat_id, "one")

        def overtake() -> None:
            if how == "read":
                bob.post(f"/chats/{chat_id}/read")
            else:
                assert ada.call("DELETE", f"/messages/{message_id}?for=everyone").status_code == 204
            socket.next("unread", chat_id=chat_id, unread_count=0)

        fan_out_overtaken_by(overtake, chat_id, monkeypatch)
        socket.next("unread", chat_id=chat_id, unread_count=1)
        newer, older = told(socket, chat_id)
        assert (newer["unread_count"], older["unread_count"], listed(bob, chat_id)) == (0, 1, 0)
        assert newer["revision"] > older["revision"]


def test_the_count_after_a_message_came_has_a_higher_revision_than_that_after_reading(
    scene: tuple[Person, Person, int],
) -> None:
    ada, bob, chat_id = scene
    store(ada, chat_id, "one")
    with bob.socket() as socket:
        eventually(lambda: is_online(bob))
        bob.post(f"/chats/{chat_id}/read")
        read = socket.next("unread", chat_id=chat_id, unread_count=0)["revision"]
        store(ada, chat_id, "two")
        held = bob.get(f"/chats/{chat_id}")["revision"]
        unread.fan_out_all([chat_id])
        counted = socket.next("unread", chat_id=chat_id, unread_count=1)["revision"]
        assert read < counted
        assert held <= counted, "or a client would drop it"


def test_a_deletion_tells_the_exact_count_also_where_newer_messages_are_not_counted_yet(
    scene: tuple[Person, Person, int],
) -> None:
    ada, bob, chat_id = scene
    with bob.socket() as socket:
        eventually(lambda: is_online(bob))
        message_id = store(ada, chat_id, "one")
        unread.fan_out_all([chat_id])
        socket.next("unread", chat_id=chat_id, unread_count=1)
        store(ada, chat_id, "two")
        assert ada.call("DELETE", f"/messages/{message_id}?for=everyone").status_code == 204
        assert socket.next("unread", chat_id=chat_id)["unread_count"] == listed(bob, chat_id) == 1


def test_a_count_is_told_past_the_revision_of_a_chat_that_runs_ahead_of_the_clock(
    scene: tuple[Person, Person, int],
) -> None:
    ada, bob, chat_id = scene
    store(ada, chat_id, "one")
    with unit_of_work() as unit:
        # As after a burst: each message takes a millisecond of ids.
        ahead = text("UPDATE chats SET revision = message_id_at(now() + interval '1 minute') WHERE id = :chat")
        unit.execute(ahead, {"chat": chat_id})
    with bob.socket() as socket:
        eventually(lambda: is_online(bob))
        held = bob.get(f"/chats/{chat_id}")["revision"]
        unread.fan_out_all([chat_id])
        assert socket.next("unread", chat_id=chat_id, unread_count=1)["revision"] > held
        held = bob.get(f"/chats/{chat_id}")["revision"]
        bob.post(f"/chats/{chat_id}/read")
        assert socket.next("unread", chat_id=chat_id, unread_count=0)["revision"] > held


def test_who_shows_offline_over_an_open_socket_is_told_counts_all_the_same(scene: tuple[Person, Person, int]) -> None:
    ada, bob, chat_id = scene
    with bob.socket() as socket:
        eventually(lambda: is_online(bob))
        assert socket.ask("presence", {"status": "offline"})["event"] == "ack"
        assert ada.get(f"/users/{bob.id}")["status"] == "offline"
        store(ada, chat_id, "one")
        unread.fan_out_all([chat_id])
        socket.next("unread", chat_id=chat_id, unread_count=1)
        assert socket.ask("presence", {"status": "away"})["event"] == "ack"
        assert ada.get(f"/users/{bob.id}")["status"] == "away"

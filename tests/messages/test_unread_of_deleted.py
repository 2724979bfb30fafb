"""Unread counts when messages are deleted, for one or for everyone: exact for whoever reads them, at every moment."""

from __future__ import annotations

from typing import Any

import pytest

from app.infra import jobs
from app.infra.db import unit_of_work
from app.messages import removals, service, unread
from config import settings
from tests.factories import member_states, scalar, send_messages
from tests.messages.scenes import People, leave
from tests.people import Person, Socket
from tests.workers.counting import recount


def unread_count(person: Person, chat_id: int) -> int:
    """The count that the chat and the list of unread chats show."""
    shown: int = person.get(f"/chats/{chat_id}")["unread_count"]
    unread_chats = {chat["id"]: chat["unread_count"] for chat in person.get("/chats", unread="true")["items"]}
    assert unread_chats.get(chat_id, 0) == shown
    return shown


def delete(person: Person, message_id: int, whom: str) -> None:
    assert person.call("DELETE", f"/messages/{message_id}?for={whom}").status_code == 204


def told(socket: Socket) -> list[dict[str, Any]]:
    """The counts that a socket was told so far."""
    return [event["data"] for event in socket.events if event["event"] == "unread"]


@pytest.mark.parametrize("is_counted", [True, False])
def test_what_one_deletes_for_oneself_is_not_unread_for_oneself_any_more(people: People, is_counted: bool) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    first, second, own = (person.send(chat_id, "words")["id"] for person in (ada, ada, bob))
    if is_counted:
        unread.fan_out_all([chat_id])
    with bob.socket() as socket:
        delete(bob, first, "me")
        # Not by the first one: a worker may count both a moment before.
        socket.next("unread", chat_id=chat_id, unread_count=1)
    delete(bob, own, "me")
    assert (unread_count(bob, chat_id), unread_count(eve, chat_id)) == (1, 3)
    delete(ada, first, "everyone")
    assert (unread_count(bob, chat_id), unread_count(eve, chat_id)) == (1, 2)
    unread.fan_out_all([chat_id])
    assert (unread_count(bob, chat_id), recount(chat_id)) == (1, [])
    assert bob.post(f"/chats/{chat_id}/read", {"message_id": first})["unread_count"] == 1
    assert bob.post(f"/chats/{chat_id}/read", {"message_id": second})["unread_count"] == 0


def test_deleting_for_oneself_what_one_has_read_moves_no_count(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, _ = (ada.send(chat_id, "words")["id"] for _ in range(2))
    unread.fan_out_all([chat_id])
    bob.post(f"/chats/{chat_id}/read", {"message_id": first})
    with bob.socket() as socket:
        delete(bob, first, "me")
        socket.next("message_deleted")
        assert told(socket) == []
    assert (unread_count(bob, chat_id), recount(chat_id)) == (1, [])


def test_who_has_left_is_not_told_a_count_when_something_is_deleted(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    message_id = ada.send(chat_id, "words")["id"]
    unread.fan_out_all([chat_id])
    leave(chat_id, bob)
    with bob.socket() as former, eve.socket() as present:
        delete(ada, message_id, "everyone")
        present.next("unread", unread_count=0)
        # What comes by the same way afterwards.
        bob.direct_chat(bob)
        former.next("chat_updated")
        assert told(former) == []


@pytest.fixture
def large(people: People, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[Person]]:
    """A chat that this process takes for too large to count down at once; no worker of other tests hears of it."""
    monkeypatch.setattr(settings(), "fanout_batch", 2)
    monkeypatch.setattr(jobs, "mark_for_fanout", lambda _chat_id: None)
    everybody = people(6)
    return everybody[0].group(*everybody[1:]), everybody


def delete_here(person: Person, message_id: int) -> None:
    """Deletes a message for everyone in this process."""
    with unit_of_work() as unit:
        service.delete_message(unit, person.id, message_id, for_everyone=True)


def waiting_removals(chat_id: int) -> object:
    return scalar("SELECT count(*) FROM unread_removals WHERE chat_id = :c", c=chat_id)


def test_in_a_large_chat_a_worker_takes_a_deleted_message_out_of_the_counts_and_reads_are_exact_before(
    large: tuple[int, list[Person]],
) -> None:
    chat_id, (ada, bob, eve, *others) = large
    first, second, third = send_messages(chat_id, [ada.id] * 3)
    unread.fan_out_all([chat_id])
    bob.post(f"/chats/{chat_id}/read", {"message_id": first})
    delete(eve, second, "me")
    before = member_states(chat_id)
    delete_here(ada, first)
    delete_here(ada, second)
    assert waiting_removals(chat_id) == 2
    assert [unread_count(person, chat_id) for person in (ada, bob, eve, *others)] == [0, 1, 1, 1, 1, 1]
    assert member_states(chat_id) == before, "a deletion touches no row for each member"
    assert others[0].post(f"/chats/{chat_id}/read", {"message_id": second})["unread_count"] == 1
    assert others[1].post(f"/chats/{chat_id}/read", {"message_id": third})["unread_count"] == 0
    unread.fan_out_all([chat_id])
    assert (waiting_removals(chat_id), recount(chat_id)) == (0, [])
    assert [unread_count(person, chat_id) for person in (ada, bob, eve, *others)] == [0, 1, 1, 1, 0, 1]
    stored = member_states(chat_id)
    assert [stored[person.id].unread_count for person in (ada, bob, eve, *others)] == [0, 1, 1, 1, 0, 1]


def test_members_of_a_large_chat_are_told_their_count_once_the_worker_has_come_to_them(
    large: tuple[int, list[Person]],
) -> None:
    chat_id, (ada, *_, bob) = large
    first, second, _ = send_messages(chat_id, [ada.id] * 3)
    unread.fan_out_all([chat_id])
    with bob.socket() as socket:
        delete_here(ada, first)
        socket.next("message_deleted")
        unread.fan_out_all([chat_id])
        assert socket.next("unread", chat_id=chat_id)["unread_count"] == 2
        delete_here(ada, second)
        unread.fan_out_all([chat_id])
        assert socket.next("unread", chat_id=chat_id)["unread_count"] == 1


def test_a_deletion_in_a_large_chat_is_done_with_however_many_come_after_it(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "fanout_batch", 2)
    monkeypatch.setattr(jobs, "mark_for_fanout", lambda _chat_id: None)
    ada, *others = people(7)
    chat_id = ada.group(*others)
    first, *further = send_messages(chat_id, [ada.id] * 6)
    unread.fan_out_all([chat_id])

    def delete_here(message_id: int) -> None:
        with unit_of_work() as unit:
            service.delete_message(unit, ada.id, message_id, for_everyone=True)

    delete_here(first)
    for message_id in further:
        assert removals._work_off_part(chat_id)
        delete_here(message_id)
    waiting = scalar("SELECT array_agg(seq ORDER BY seq) FROM unread_removals WHERE chat_id = :c", c=chat_id)
    assert isinstance(waiting, list)
    assert 1 not in waiting
    assert recount(chat_id) == []

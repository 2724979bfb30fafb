"""Who is blocked in a direct chat learns no more of what arrives and is read there, by no way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.people import Person, Socket
from tests.receipts.marks import receipts, statuses, update

People = Callable[[int], list[Person]]


def block(person: Person, other: Person, method: str = "POST") -> None:
    assert person.call(method, f"/users/{other.id}/block").status_code == 204


def told(socket: Socket) -> list[tuple[str, dict[str, Any]]]:
    """The marks that a socket was told of until now."""
    socket.quiet()
    names = ("message_status", "read_receipt")
    return [(event["event"], event["data"]) for event in socket.events if event["event"] in names]


def test_what_arrives_and_is_read_after_a_block_is_not_told_to_the_blocked(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    before, after = (bob.send(chat_id, text)["id"] for text in ("before", "after"))
    with ada.socket() as hers, bob.socket() as his:
        hers.ask("delivered", {"chat_id": chat_id, "message_id": before})
        assert his.next("message_status")["status"] == "delivered"
        update(chat_id)
        cursor = bob.caught_up()
        block(ada, bob)
        his.events.clear()
        hers.ask("delivered", {"chat_id": chat_id, "message_id": after})
        hers.ask("read_receipt", {"chat_id": chat_id, "message_id": after})
        assert hers.next("read_receipt")["message_id"] == after
        update(chat_id)
        assert told(his) == []
    assert statuses(chat_id) == ["delivered", "sent"]
    assert bob.get(f"/messages/{after}/receipts")["items"] == []
    assert bob.get("/sync", cursor=cursor)["messages"] == []
    assert [message["status"] for message in bob.get(f"/chats/{chat_id}/messages")["items"]] == ["sent", "delivered"]
    assert ada.get(f"/chats/{chat_id}")["last_read_message_id"] == after


def test_the_end_of_a_block_makes_read_what_was_read_meanwhile(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    for text in ("one", "two"):
        bob.send(chat_id, text)
    block(ada, bob)
    ada.post(f"/chats/{chat_id}/read")
    ada.send(chat_id, "and one of hers")
    block(ada, bob, "DELETE")
    update(chat_id)
    assert statuses(chat_id) == ["read", "read", "sent"]
    assert receipts(chat_id) == [(1, ada.id), (2, ada.id)]


def test_the_end_of_a_block_makes_nothing_read_that_was_cleared_unread(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    bob.send(chat_id, "never read")
    block(ada, bob)
    assert ada.call("DELETE", f"/chats/{chat_id}/history").status_code == 204
    block(ada, bob, "DELETE")
    update(chat_id)
    assert statuses(chat_id) == ["sent"]
    assert receipts(chat_id) == []


def test_a_group_tells_all_its_authors_whoever_blocks_whom(people: People) -> None:
    ada, bob = people(2)
    chat_id = bob.group(ada)
    message_id = bob.send(chat_id, "to all")["id"]
    block(ada, bob)
    with bob.socket() as his:
        ada.post(f"/chats/{chat_id}/read")
        assert his.next("message_status", up_to_message_id=message_id)["status"] == "read"

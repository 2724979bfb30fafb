"""What a block keeps from the blocked, and what it leaves to both."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.people import Person, Socket
from tests.processes import eventually

People = Callable[[int], list[Person]]


@pytest.fixture
def pair(people: People) -> tuple[Person, Person, int]:
    """Ada, who has blocked Bob, Bob, and their direct chat."""
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    block(ada, bob)
    return ada, bob, chat_id


def block(person: Person, other: Person, method: str = "POST") -> None:
    assert person.call(method, f"/users/{other.id}/block").status_code == 204


def presences(socket: Socket, of: Person) -> list[dict[str, Any]]:
    """What has come until now of a person's presence."""
    socket.quiet()
    return [e["data"] for e in socket.events if e["event"] == "presence" and e["data"]["user_id"] == of.id]


def test_whom_one_has_blocked_is_listed_by_name_page_by_page_until_the_block_ends(people: People) -> None:
    ada, bob, *others = people(5)
    for person in others:
        block(ada, person)
    block(bob, ada)
    assert [user["id"] for user in ada.get("/blocks")["items"]] == [person.id for person in others]
    assert ada.get("/blocks")["items"][0] == ada.get(f"/users/{others[0].id}")
    page = ada.get("/blocks", limit=2)
    assert [user["id"] for user in page["items"]] == [person.id for person in others[:2]]
    rest = ada.get("/blocks", limit=2, cursor=page["next_cursor"])
    assert ([user["id"] for user in rest["items"]], rest["next_cursor"]) == ([others[2].id], None)
    block(ada, others[0], "DELETE")
    assert [user["id"] for user in ada.get("/blocks")["items"]] == [person.id for person in others[1:]]


def test_the_blocked_cannot_message_over_either_door_and_can_again_after_the_block(
    pair: tuple[Person, Person, int],
) -> None:
    ada, bob, chat_id = pair
    message = {"chat_id": chat_id, "text": "hello"}
    with bob.socket() as his:
        assert bob.call("POST", "/messages", message).status_code == 403
        assert his.ask("message", message)["data"]["code"] == "forbidden"
        assert ada.get(f"/chats/{chat_id}/messages")["items"] == []
        block(ada, bob, "DELETE")
        assert bob.call("POST", "/messages", message).status_code == 201
        assert his.ask("message", message)["event"] == "ack"


def test_who_blocks_may_still_write(pair: tuple[Person, Person, int]) -> None:
    ada, bob, chat_id = pair
    with bob.socket() as his, ada.socket() as hers:
        sent = ada.send(chat_id, "one last word")
        assert his.next("new_message", chat_id=chat_id)["id"] == sent["id"]
        assert hers.ask("message", {"chat_id": chat_id, "text": "and one more"})["event"] == "ack"


def test_blocking_twice_and_unblocking_twice_succeed(pair: tuple[Person, Person, int]) -> None:
    ada, bob, chat_id = pair
    block(ada, bob)
    block(ada, bob, "DELETE")
    block(ada, bob, "DELETE")
    bob.send(chat_id, "hello")


def test_the_blocked_cannot_add_who_blocked_them_but_the_other_way_works(pair: tuple[Person, Person, int]) -> None:
    ada, bob, _ = pair
    body = {"type": "group", "name": "A group", "member_ids": [ada.id]}
    assert bob.call("POST", "/chats", body).status_code == 403
    assert ada.call("POST", "/chats", body | {"member_ids": [bob.id]}).status_code == 201
    his, hers = bob.group(), ada.group()
    assert bob.call("POST", f"/chats/{his}/members", {"user_ids": [ada.id]}).status_code == 403
    assert ada.call("POST", f"/chats/{hers}/members", {"user_ids": [bob.id]}).status_code == 200


def test_the_blocked_reach_who_blocked_them_neither_by_editing_nor_by_forwarding(people: People) -> None:
    ada, bob = people(2)
    chat_id, group = ada.direct_chat(bob), ada.group(bob)
    earlier, elsewhere = bob.send(chat_id, "hello"), bob.send(group, "hello all")
    block(ada, bob)
    assert bob.call("PUT", f"/messages/{earlier['id']}", {"text": "listen"}).status_code == 403
    assert bob.call("POST", f"/messages/{elsewhere['id']}/forward", {"chat_ids": [chat_id]}).status_code == 403
    assert [message["text"] for message in ada.get(f"/chats/{chat_id}/messages")["items"]] == ["hello"]


def test_a_shared_group_goes_on_for_both(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    block(ada, bob)
    with ada.socket() as hers, bob.socket() as his:
        sent = bob.send(group, "hello all")
        assert hers.next("new_message", chat_id=group)["id"] == sent["id"]
        his.ask("typing", {"chat_id": group, "is_typing": True})
        assert hers.next("typing", chat_id=group)["user_id"] == bob.id


def test_contacts_stay_through_a_block(people: People) -> None:
    ada, bob = people(2)
    ada.post(f"/users/{bob.id}/contacts")
    bob.post(f"/users/{ada.id}/contacts")
    block(ada, bob)
    for person, other in ((ada, bob), (bob, ada)):
        assert [user["id"] for user in person.get("/contacts")["items"]] == [other.id]


def test_the_blocked_see_no_presence_anywhere_and_who_blocks_still_does(pair: tuple[Person, Person, int]) -> None:
    ada, bob, chat_id = pair
    ada.group(bob)
    ada.send(chat_id, "for both lists of chats to show it")
    bob.post(f"/users/{ada.id}/contacts")
    block(ada, bob, "DELETE")
    with ada.socket(), bob.socket():
        eventually(lambda: bob.get(f"/users/{ada.id}")["status"] == "online")
        eventually(lambda: ada.get(f"/users/{bob.id}")["status"] == "online")
        assert {view["status"] for view in views(bob, ada, chat_id)} == {"online"}
        block(ada, bob)
        assert {(view["status"], view["last_seen_at"]) for view in views(bob, ada, chat_id)} == {("offline", None)}
        assert {view["status"] for view in views(ada, bob, chat_id)} == {"online"}
    eventually(lambda: ada.get(f"/users/{bob.id}")["last_seen_at"] is not None)
    assert {view["last_seen_at"] for view in views(bob, ada, chat_id)} == {None}


def views(viewer: Person, person: Person, chat_id: int) -> list[dict[str, Any]]:
    """The person as the viewer sees them in a profile, a search, a chat, and lists of chats, contacts and members."""
    found = viewer.get("/users", q=person.username)["items"]
    listed = [chat["peer"] for chat in viewer.get("/chats")["items"] if chat["id"] == chat_id]
    known = [user for user in viewer.get("/contacts")["items"] if user["id"] == person.id]
    (group,) = viewer.get(f"/users/{person.id}/chats")["items"]
    members = [member["user"] for member in viewer.get(f"/chats/{group['id']}/members")["items"]]
    chat = viewer.get(f"/chats/{chat_id}")
    seen: list[dict[str, Any]] = [viewer.get(f"/users/{person.id}"), chat["peer"], *found, *listed, *known]
    seen += [user for user in members if user["id"] == person.id]
    assert [view["id"] for view in seen] == [person.id] * len(seen)
    assert len(seen) == 5 + len(known)
    return seen


def test_a_block_shows_the_blocked_that_nobody_is_there_once_and_its_end_what_is(people: People) -> None:
    ada, bob = people(2)
    ada.direct_chat(bob)
    with bob.socket() as his, ada.socket() as hers:
        his.next("presence", user_id=ada.id, status="online")
        block(ada, bob)
        assert his.next("presence", user_id=ada.id) == {"user_id": ada.id, "status": "offline", "last_seen_at": None}
        block(ada, bob)
        hers.ask("presence", {"status": "away"})
        eventually(lambda: ada.get("/auth/me")["status"] == "away")
        block(ada, bob, "DELETE")
        assert his.next("presence", user_id=ada.id)["status"] == "away"
        block(ada, bob, "DELETE")
        assert [shown["status"] for shown in presences(his, ada)] == ["online", "offline", "away"]


def test_whom_a_person_has_as_a_contact_only_is_shown_the_same(people: People) -> None:
    ada, bob = people(2)
    bob.post(f"/users/{ada.id}/contacts")
    with bob.socket() as his, ada.socket():
        his.next("presence", user_id=ada.id, status="online")
        block(ada, bob)
        assert his.next("presence", user_id=ada.id)["status"] == "offline"
    with bob.socket() as his:
        with ada.socket() as hers:
            hers.ask("presence", {"status": "away"})
        eventually(lambda: ada.get("/auth/me")["status"] == "offline")
        assert presences(his, ada) == []


def test_a_stranger_of_a_shared_group_is_told_neither_of_presence_nor_of_a_block(people: People) -> None:
    ada, bob, friend = people(3)
    group = ada.group(bob, friend)
    friend.post(f"/users/{ada.id}/contacts")
    with bob.socket() as his, friend.socket() as theirs, ada.socket():
        theirs.next("presence", user_id=ada.id, status="online")
        block(ada, bob)
        ada.send(group, "a sign that all before has come")
        his.next("new_message", chat_id=group)
        assert presences(his, ada) == []


def test_who_only_opened_a_chat_is_told_neither_of_presence_nor_of_a_block(people: People) -> None:
    ada, bob = people(2)
    chat_id = bob.direct_chat(ada)
    with bob.socket() as his:
        for method in ("POST", "DELETE"):
            block(ada, bob, method)
        sent = ada.send(ada.group(bob), "a sign that all before has come")
        his.next("new_message", id=sent["id"])
        assert presences(his, ada) == []
        bob.send(chat_id, "now they have a chat")
        block(ada, bob)
        assert his.next("presence", user_id=ada.id)["status"] == "offline"


def test_neither_who_blocks_nor_the_blocked_sees_the_other_typing(pair: tuple[Person, Person, int]) -> None:
    ada, bob, chat_id = pair
    ada.send(chat_id, "from here on both have the chat in their lists")
    with ada.socket() as hers, bob.socket() as his:
        for typist in (hers, his):
            for is_typing in (True, False):
                assert typist.ask("typing", {"chat_id": chat_id, "is_typing": is_typing})["event"] == "ack"
        sent = ada.send(chat_id, "a sign that all before has come")
        for socket in (hers, his):
            socket.next("new_message", id=sent["id"])
            assert [event for event in socket.events if event["event"] == "typing"] == []
        block(ada, bob, "DELETE")
        for typist, witness, person in ((his, hers, bob), (hers, his, ada)):
            typist.ask("typing", {"chat_id": chat_id, "is_typing": True})
            assert witness.next("typing", user_id=person.id)["is_typing"] is True


def test_the_reading_of_the_blocked_is_still_told(pair: tuple[Person, Person, int]) -> None:
    ada, bob, chat_id = pair
    with ada.socket() as hers:
        sent = ada.send(chat_id, "read this")
        bob.post(f"/chats/{chat_id}/read")
        assert hers.next("read_receipt", user_id=bob.id)["message_id"] == sent["id"]


def test_blocking_at_the_same_moment_from_both_sides_holds_for_both(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turn: block(*((ada, bob) if turn % 2 else (bob, ada))), range(16)))
    for person in (ada, bob):
        assert person.call("POST", "/messages", {"chat_id": chat_id, "text": "hello"}).status_code == 403

"""What a chat is called, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chats.membership import assert_whole, change, channel, give_role, join, make_public, notices, outcome
from tests.factories import scalar
from tests.people import Person

People = Callable[[int], list[Person]]


def test_the_owner_and_admins_change_name_and_description(people: People) -> None:
    owner, admin, member, stranger = people(4)
    for chat_id in (owner.group(admin, member), channel(owner, admin, member)):
        give_role(owner, chat_id, admin, "admin")
        tries = [change(person, chat_id, name="Mine") for person in (member, stranger)]
        assert [outcome(answer) for answer in tries] == ["forbidden", "not_found"]
        chat = change(owner, chat_id, name="Chess", description="Mondays").json()
        assert (chat["name"], chat["description"], chat["username"]) == ("Chess", "Mondays", None)
        assert change(admin, chat_id, description=None).json()["description"] is None
        assert change(admin, chat_id, name="Go").json()["name"] == "Go"
        chat = member.get(f"/chats/{chat_id}")
        assert (chat["name"], chat["description"]) == ("Go", None)
        assert notices(member, chat_id) == [
            {"action": "name_changed", "name": "Chess", "by": owner.id},
            {"action": "name_changed", "name": "Go", "by": admin.id},
        ]


def test_what_is_the_same_changes_nothing(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob, name="Chess")
    before = ada.get(f"/chats/{group}")
    for fields in ({}, {"name": "Chess"}, {"description": None}, {"description": ""}, {"username": None}):
        assert change(ada, group, **fields).json() == before


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 129},
        {"name": "x\0"},
        {"description": "x" * 1025},
        {"description": 5},
        {"username": ""},
        {"username": "a b"},
        {"username": "x" * 33},
        {"username": "1st"},
        {"type": "channel"},
        {"role": "owner"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_a_change_that_is_none_is_refused(people: People, fields: dict[str, Any]) -> None:
    (ada,) = people(1)
    assert change(ada, ada.group(), **fields).status_code == 422


def test_only_the_owner_makes_a_chat_public_or_private(people: People) -> None:
    owner, admin = people(2)
    group = owner.group(admin)
    give_role(owner, group, admin, "admin")
    assert outcome(change(admin, group, username="chess_" + secrets.token_hex(6))) == "forbidden"
    username = make_public(owner, group)
    assert outcome(change(admin, group, username=None)) == "forbidden"
    assert outcome(change(admin, group, username=username, name="Go")) == 200
    assert owner.get(f"/chats/{group}")["username"] == username


def test_a_username_is_one_chats_or_one_persons_in_whatever_case(people: People) -> None:
    ada, bob = people(2)
    group, news = ada.group(), channel(ada)
    username = make_public(ada, group)
    assert outcome(change(ada, news, username=username.upper(), name="Other")) == "username_taken"
    assert outcome(change(ada, news, username=bob.username.upper())) == "username_taken"
    assert ada.get(f"/chats/{news}")["name"] == "News"
    assert change(ada, group, username=username.upper()).json()["username"] == username.upper()
    assert outcome(bob.call("PATCH", "/auth/me", {"username": username.upper()})) == "username_taken"
    change(ada, group, username=None)
    assert outcome(change(ada, news, username=username)) == 200


def test_of_many_who_take_one_username_at_once_one_gets_it(people: People) -> None:
    persons = people(8)
    chats = [person.group() for person in persons]
    username = f"chat_{secrets.token_hex(8)}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: change(*pair, username=username), zip(persons, chats, strict=True)))
    assert sorted(str(outcome(answer)) for answer in answers) == ["200", *["username_taken"] * 7]


def test_the_owner_deletes_a_chat_for_all(people: People) -> None:
    owner, admin, member, stranger = people(4)
    for chat_id in (owner.group(admin, member), channel(owner, admin, member)):
        give_role(owner, chat_id, admin, "admin")
        username = make_public(owner, chat_id)
        owner.send(chat_id, "hello")
        tries = [person.call("DELETE", f"/chats/{chat_id}") for person in (admin, member, stranger, owner)]
        assert [outcome(answer) for answer in tries] == ["forbidden", "forbidden", "not_found", 204]
        for person in (owner, admin, member):
            assert chat_id not in [chat["id"] for chat in person.get("/chats")["items"]]
            assert outcome(person.call("GET", f"/chats/{chat_id}")) == "not_found"
            assert outcome(person.call("GET", f"/chats/{chat_id}/messages")) == "not_found"
            answer = person.call("POST", "/messages", {"chat_id": chat_id, "text": "still here"})
            assert outcome(answer) == "not_found"
            assert outcome(join(person, chat_id)) == "not_found"
        assert outcome(owner.call("DELETE", f"/chats/{chat_id}")) == "not_found"
        assert scalar("SELECT deleted_at IS NOT NULL FROM chats WHERE id = :id", id=chat_id)
        assert_whole(chat_id)
        assert outcome(change(stranger, stranger.group(), username=username)) == 200


def test_a_deleted_chat_is_among_the_removed_of_the_next_sync(people: People) -> None:
    ada, bob = people(2)
    group, kept = ada.group(bob), ada.group(bob)
    cursor = bob.get("/sync")["next_cursor"]
    assert ada.call("DELETE", f"/chats/{group}").status_code == 204
    changes = bob.get("/sync", cursor=cursor)
    assert group in changes["removed_chat_ids"]
    assert kept not in changes["removed_chat_ids"]

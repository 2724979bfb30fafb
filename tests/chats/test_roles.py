"""Roles, removals, leaving: who may do what to whom."""

from __future__ import annotations

import pytest

from tests.chats.membership import (
    MakeChat,
    People,
    assert_whole,
    channel,
    give_role,
    join,
    leave,
    make_public,
    notices,
    outcome,
    remove,
    roles,
    with_admins,
)
from tests.people import Person

Cast = dict[str, Person]

KINDS = pytest.mark.parametrize("make", [Person.group, channel], ids=["group", "channel"])


def cast(people: People, make: MakeChat) -> tuple[int, Cast]:
    """A chat of an owner, two admins and two members, and a stranger."""
    names = ("owner", "admin", "other admin", "member", "other member", "stranger")
    persons = dict(zip(names, people(len(names)), strict=True))
    owner, *others = persons.values()
    return with_admins(make, owner, others[:2], *others[2:4]), persons


@KINDS
@pytest.mark.parametrize(
    ("by", "to", "role", "expected"),
    [
        ("owner", "member", "admin", 200),
        ("owner", "admin", "member", 200),
        ("owner", "member", "member", 200),
        ("owner", "member", "owner", 200),
        ("owner", "admin", "owner", 200),
        ("owner", "owner", "owner", 200),
        ("owner", "owner", "admin", "owner_must_hand_over"),
        ("owner", "owner", "member", "owner_must_hand_over"),
        ("owner", "stranger", "admin", "not_found"),
        ("admin", "member", "admin", 200),
        ("admin", "other admin", "admin", 200),
        ("admin", "admin", "member", 200),
        ("admin", "other admin", "member", "forbidden"),
        ("admin", "member", "owner", "forbidden"),
        ("admin", "admin", "owner", "forbidden"),
        ("admin", "owner", "member", "forbidden"),
        ("admin", "owner", "admin", "forbidden"),
        ("admin", "stranger", "admin", "not_found"),
        ("member", "member", "admin", "forbidden"),
        ("member", "other member", "admin", "forbidden"),
        ("member", "other member", "member", "forbidden"),
        ("member", "admin", "member", "forbidden"),
        ("member", "owner", "owner", "forbidden"),
        ("member", "stranger", "admin", "forbidden"),
        ("stranger", "member", "admin", "not_found"),
        ("stranger", "stranger", "owner", "not_found"),
    ],
)
def test_a_role_is_given_by_who_may(
    people: People, make: MakeChat, by: str, to: str, role: str, expected: int | str
) -> None:
    chat_id, persons = cast(people, make)
    before = roles(persons["owner"], chat_id)
    answer = give_role(persons[by], chat_id, persons[to], role)
    assert outcome(answer) == expected
    wanted = dict(before)
    if expected == 200:
        assert (answer.json()["user"]["id"], answer.json()["role"]) == (persons[to].id, role)
        if role == "owner" and by != to:
            wanted[persons[by].id] = "admin"
        wanted[persons[to].id] = role
    seer = persons["other admin"] if (by, to) == ("admin", "admin") else persons["owner"]
    assert roles(seer, chat_id) == wanted
    assert_whole(chat_id)


@KINDS
@pytest.mark.parametrize(
    ("by", "to", "expected"),
    [
        ("owner", "member", 204),
        ("owner", "admin", 204),
        ("owner", "owner", "conflict"),
        ("owner", "stranger", "not_found"),
        ("admin", "member", 204),
        ("admin", "other admin", "forbidden"),
        ("admin", "owner", "forbidden"),
        ("admin", "admin", "conflict"),
        ("admin", "stranger", "not_found"),
        ("member", "other member", "forbidden"),
        ("member", "owner", "forbidden"),
        ("member", "stranger", "forbidden"),
        ("member", "member", "conflict"),
        ("stranger", "member", "not_found"),
    ],
)
def test_somebody_is_removed_by_who_may(people: People, make: MakeChat, by: str, to: str, expected: int | str) -> None:
    chat_id, persons = cast(people, make)
    assert outcome(remove(persons[by], chat_id, persons[to])) == expected
    gone = expected == 204
    assert (persons[to].id in roles(persons["owner"], chat_id)) == (to != "stranger" and not gone)
    assert_whole(chat_id)


def test_a_removed_member_sees_nothing_more_at_once(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    message = ada.send(group, "hello")
    assert outcome(remove(ada, group, bob)) == 204
    tries = [
        bob.call("GET", f"/chats/{group}"),
        bob.call("GET", f"/chats/{group}/messages"),
        bob.call("GET", f"/chats/{group}/members"),
        bob.call("POST", f"/chats/{group}/read", {"message_id": message["id"]}),
        bob.call("POST", f"/chats/{group}/pin", {"pinned": True}),
        bob.call("POST", f"/chats/{group}/mute", {"muted": True}),
        bob.call("PUT", f"/chats/{group}", {"name": "mine"}),
        bob.call("DELETE", f"/chats/{group}"),
        bob.call("DELETE", f"/chats/{group}/history"),
        bob.call("POST", "/messages", {"chat_id": group, "text": "still here"}),
        give_role(bob, group, bob, "owner"),
        remove(bob, group, ada),
        leave(bob, group),
        join(bob, group),
    ]
    assert [outcome(answer) for answer in tries] == ["not_found"] * len(tries)
    assert bob.get("/chats")["items"] == []
    assert remove(ada, group, bob).status_code == 404


def test_handing_over_makes_exactly_one_owner_who_can_do_what_the_old_one_could(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob, eve)
    assert outcome(give_role(ada, group, bob, "owner")) == 200
    assert outcome(give_role(ada, group, eve, "owner")) == "forbidden"
    assert outcome(give_role(bob, group, eve, "owner")) == 200
    assert roles(ada, group) == {eve.id: "owner", ada.id: "admin", bob.id: "admin"}
    assert notices(ada, group) == [
        {"action": "owner_changed", "user_id": bob.id, "by": ada.id},
        {"action": "owner_changed", "user_id": eve.id, "by": bob.id},
    ]
    assert outcome(leave(ada, group)) == 204
    assert outcome(leave(eve, group)) == "owner_must_hand_over"


@KINDS
def test_the_last_one_who_leaves_ends_the_chat_and_an_owner_of_others_stays(people: People, make: MakeChat) -> None:
    ada, bob, eve = people(3)
    chat_id = make(ada, bob)
    make_public(ada, chat_id)
    assert outcome(leave(ada, chat_id)) == "owner_must_hand_over"
    assert [outcome(leave(bob, chat_id)) for _ in range(2)] == [204, "not_found"]
    assert_whole(chat_id)
    assert outcome(leave(ada, chat_id)) == 204
    assert [outcome(join(person, chat_id)) for person in (ada, bob, eve)] == ["not_found"] * 3
    assert ada.get("/chats")["items"] == []
    assert_whole(chat_id)


def test_a_group_tells_of_comings_and_goings_and_a_channel_does_not(people: People) -> None:
    ada, bob, eve, max_ = people(4)
    group, news = ada.group(bob, eve, max_), channel(ada, bob, eve, max_)
    for chat_id in (group, news):
        leave(bob, chat_id)
        remove(ada, chat_id, eve)
        give_role(ada, chat_id, max_, "owner")
    assert notices(ada, group) == [
        {"action": "member_left", "user_id": bob.id, "by": bob.id},
        {"action": "member_removed", "user_id": eve.id, "by": ada.id},
        {"action": "owner_changed", "user_id": max_.id, "by": ada.id},
    ]
    assert notices(ada, news) == []


def test_service_messages_never_count_as_unread(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob, eve)
    leave(eve, group)
    assert bob.get(f"/chats/{group}")["unread_count"] == 0
    assert bob.get("/chats", unread="true")["items"] == []
    ada.send(group, "hello")
    assert bob.get(f"/chats/{group}")["unread_count"] == 1

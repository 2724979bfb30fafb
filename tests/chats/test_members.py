"""Members of groups and channels: listed, added, joining."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.chats import service
from app.chats.queries import members as queries
from app.chats.schemas import MemberQuery
from app.infra.db import reading, unit_of_work
from config import settings
from tests.chats.membership import (
    People,
    add,
    assert_whole,
    block,
    channel,
    crowd,
    give_role,
    join,
    leave,
    make_public,
    notices,
    outcome,
    pages,
    remove,
    roles,
    with_admins,
)
from tests.counting import counted_statements
from tests.people import Person
from tests.plans import assert_reads_little, explain


def test_the_list_shows_the_owner_then_admins_then_the_others_by_id_page_by_page(people: People) -> None:
    members = people(7)
    owner, admins = members[4], [members[5], members[1]]
    group = with_admins(Person.group, owner, admins, *members)
    rest = [person.id for person in members if person not in (owner, *admins)]
    expected = [owner.id, *sorted(admin.id for admin in admins), *sorted(rest)]
    for limit in (1, 2, 3, 7, 100):
        listed = list(pages(members[0], f"/chats/{group}/members", limit=limit))
        assert [member["user"]["id"] for page in listed for member in page] == expected
        assert {len(page) for page in listed[:-1]} <= {limit}


def test_a_listed_member_is_a_user_with_role_and_time(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    first, second = ada.get(f"/chats/{group}/members")["items"]
    assert (first["user"]["username"], first["role"]) == (ada.username, "owner")
    assert (second["user"]["username"], second["role"]) == (bob.username, "member")
    assert second["user"]["phone"] is None
    assert second["joined_at"].endswith("Z")


def test_only_the_owner_and_admins_see_who_is_in_a_channel(people: People) -> None:
    owner, admin, member, stranger = people(4)
    news = with_admins(channel, owner, [admin], member)
    seen = [outcome(person.call("GET", f"/chats/{news}/members")) for person in (owner, admin, member, stranger)]
    assert seen == [200, 200, "forbidden", "not_found"]


@pytest.mark.parametrize("cursor", ["x", "WzMsMV0", "Wy0xLDFd", "WzAsInh4Il0", "WzBd"])
def test_a_cursor_that_is_not_of_this_list_is_refused(people: People, cursor: str) -> None:
    (ada,) = people(1)
    group = ada.group()
    assert ada.call("GET", f"/chats/{group}/members?cursor={cursor}").status_code == 422


def test_a_page_of_members_is_two_statements_however_many_members(people: People, app: Flask) -> None:
    ada, *others = people(12)
    group = ada.group(*others)
    with app.app_context(), counted_statements() as statements, reading() as unit:
        assert len(service.list_members(unit, ada.id, group, MemberQuery())["items"]) == 12
    assert len(statements) == 2


def test_any_member_adds_to_a_group_and_only_the_owner_and_admins_to_a_channel(people: People) -> None:
    owner, admin, member, stranger, *new = people(8)
    group, news = (with_admins(make, owner, [admin], member) for make in (Person.group, channel))
    assert [outcome(add(person, group, new[0])) for person in (stranger, member)] == ["not_found", 200]
    assert [outcome(add(person, news, new[1])) for person in (stranger, member)] == ["not_found", "forbidden"]
    assert [outcome(add(admin, news, new[1])), outcome(add(owner, news, new[2]))] == [200, 200]
    assert roles(owner, group)[new[0].id] == "member"
    assert list(roles(owner, news))[3:] == [new[1].id, new[2].id]
    for chat_id in (group, news):
        assert_whole(chat_id)


def test_who_is_added_sees_what_was_written_before_and_nothing_of_it_is_unread(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob)
    before = [ada.send(group, text)["id"] for text in ("one", "two")]
    chat = add(bob, group, eve).json()
    assert (chat["member_count"], chat["role"]) == (3, "member")
    ada.send(group, "three")
    seen = eve.get(f"/chats/{group}/messages")["items"]
    assert [message["text"] for message in seen] == ["three", None, "two", "one"]
    chat = eve.get(f"/chats/{group}")
    assert (chat["unread_count"], chat["last_read_message_id"]) == (1, before[1])
    assert notices(eve, group) == [{"action": "members_added", "user_ids": [eve.id], "by": bob.id}]


def test_adding_who_is_there_already_changes_nothing(people: People) -> None:
    ada, bob, eve = people(3)
    group = with_admins(Person.group, ada, [bob])
    chat = add(ada, group, bob, bob, ada, eve, eve).json()
    assert chat["member_count"] == 3
    assert roles(ada, group) == {ada.id: "owner", bob.id: "admin", eve.id: "member"}
    assert add(ada, group, bob, eve).json()["revision"] == chat["revision"]
    assert len(notices(ada, group)) == 1


def test_an_addition_that_fails_adds_nobody(people: People) -> None:
    ada, bob, eve, max_ = people(4)
    group = ada.group(bob)
    block(eve, ada)
    assert outcome(add(ada, group, max_, eve)) == "forbidden"
    body = {"user_ids": [max_.id, 2**53 - 1]}
    answer = ada.call("POST", f"/chats/{group}/members", body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["user_ids"])
    assert list(roles(ada, group)) == [ada.id, bob.id]
    assert outcome(add(bob, group, eve)) == 200
    assert_whole(group)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_ids": []},
        {"user_ids": [0]},
        {"user_ids": ["1"]},
        {"user_ids": None},
        {"user_ids": list(range(1, 202))},
        {"user_ids": [1], "role": "admin"},
    ],
    ids=lambda body: str(body)[:40],
)
def test_an_addition_that_is_no_list_of_people_is_refused(people: People, body: dict[str, Any]) -> None:
    (ada,) = people(1)
    group = ada.group()
    assert ada.call("POST", f"/chats/{group}/members", body).status_code == 422


def test_a_full_group_takes_nobody_more_and_a_channel_does(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob, eve, max_ = people(4)
    group, news = ada.group(bob), channel(ada, bob)
    client = app.test_client()
    monkeypatch.setattr(settings(), "max_group_members", 3)

    def here(person: Person, path: str, body: object) -> int | str:
        headers = {"Authorization": f"Bearer {person.access_token}"}
        answer = client.post(f"/api{path}", json=body, headers=headers)
        assert answer.json is not None
        code: str = answer.json.get("code")
        return code or answer.status_code

    assert here(ada, f"/chats/{group}/members", {"user_ids": [eve.id, max_.id]}) == "conflict"
    assert here(ada, f"/chats/{group}/members", {"user_ids": [eve.id]}) == 200
    assert here(ada, f"/chats/{group}/members", {"user_ids": [max_.id]}) == "conflict"
    assert here(ada, f"/chats/{news}/members", {"user_ids": [eve.id, max_.id]}) == 200
    everybody = [bob.id, eve.id, max_.id]
    assert here(ada, "/chats", {"type": "group", "name": "x", "member_ids": everybody}) == "conflict"
    make_public(ada, group)
    assert here(max_, f"/chats/{group}/join", None) == "conflict"
    assert_whole(group)


def test_a_direct_chat_keeps_its_two_people(people: People) -> None:
    ada, bob, eve = people(3)
    direct = ada.direct_chat(bob)
    answers = [
        add(ada, direct, eve),
        give_role(ada, direct, bob, "admin"),
        remove(ada, direct, bob),
        leave(ada, direct),
        ada.call("PUT", f"/chats/{direct}", {"name": "ours"}),
    ]
    assert [outcome(answer) for answer in answers] == ["conflict"] * 5
    assert [outcome(join(ada, direct)), outcome(join(eve, direct))] == ["conflict", "not_found"]
    assert list(roles(bob, direct)) == sorted([ada.id, bob.id])


def test_everybody_may_join_a_public_chat_and_nobody_a_private_one(people: People) -> None:
    ada, bob, eve = people(3)
    for chat_id, told in ((ada.group(), True), (channel(ada), False)):
        ada.send(chat_id, "welcome")
        assert outcome(join(bob, chat_id)) == "not_found"
        make_public(ada, chat_id)
        assert outcome(bob.call("GET", f"/chats/{chat_id}")) == "not_found"
        chat = join(bob, chat_id).json()
        assert (chat["role"], chat["member_count"], chat["unread_count"]) == ("member", 2, 0)
        assert join(bob, chat_id).json()["revision"] == chat["revision"]
        expected = [{"action": "member_joined", "user_id": bob.id, "by": bob.id}] if told else []
        assert notices(bob, chat_id) == expected
        assert ada.call("PUT", f"/chats/{chat_id}", {"username": None}).json()["username"] is None
        assert [outcome(join(bob, chat_id)), outcome(join(eve, chat_id))] == [200, "not_found"]
        assert_whole(chat_id)
    assert outcome(join(bob, 2**53 - 1)) == "not_found"


def test_who_was_removed_comes_back_only_by_the_owner_or_an_admin(people: People) -> None:
    owner, admin, member, removed = people(4)
    group = with_admins(Person.group, owner, [admin], member, removed)
    make_public(owner, group)
    assert outcome(remove(admin, group, removed)) == 204
    assert [outcome(join(removed, group)), outcome(add(member, group, removed))] == ["forbidden"] * 2
    assert outcome(add(admin, group, removed)) == 200
    assert outcome(leave(removed, group)) == 204
    assert outcome(join(removed, group)) == 200
    assert_whole(group)


def test_who_comes_back_has_read_all_and_pinned_nothing(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    make_public(ada, group)
    bob.post(f"/chats/{group}/pin", {"pinned": True})
    bob.post(f"/chats/{group}/mute", {"muted": True})
    ada.send(group, "unread")
    assert bob.get(f"/chats/{group}")["unread_count"] == 1
    leave(bob, group)
    missed = ada.send(group, "missed")
    chat = join(bob, group).json()
    assert (chat["unread_count"], chat["is_pinned"], chat["is_muted"]) == (0, False, True)
    assert missed["id"] in [message["id"] for message in bob.get(f"/chats/{group}/messages")["items"]]
    ada.send(group, "new")
    assert bob.get(f"/chats/{group}")["unread_count"] == 1


def test_a_page_of_members_touches_only_its_rows_in_a_huge_and_in_a_small_chat(people: People) -> None:
    ada, *others = people(4)
    huge, small = channel(ada), ada.group(*others)
    crowd(huge, 10_000)
    with reading() as unit:
        unit.execute(text("ANALYZE chat_members"))
        for chat_id in (huge, small):
            for place in (queries.Place(), queries.Place(2, others[0].id)):
                assert_reads_little(explain(unit, queries._PAGE, chat_id, ada.id, *place, 51), most_rows=55)


def test_adding_many_takes_no_more_statements_than_adding_one(people: People, app: Flask) -> None:
    ada, *others = people(13)
    counts = []
    for new in (others[:1], others):
        group = ada.group()
        with app.app_context(), counted_statements() as statements, unit_of_work() as unit:
            service.add_members(unit, ada.id, group, [person.id for person in new])
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 11

"""Chats: made, listed and read by their members."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.chats import service
from app.chats.schemas import ChatQuery
from app.infra.db import reading, unit_of_work
from tests.chats.membership import People, block, pages
from tests.counting import counted_statements


def test_a_direct_chat_is_made_once_whoever_asks_first(people: People) -> None:
    ada, bob = people(2)
    first = ada.call("POST", "/chats", {"type": "direct", "user_id": bob.id})
    again = bob.call("POST", "/chats", {"type": "direct", "user_id": ada.id})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.json()["peer"]["id"] == bob.id
    assert again.json()["peer"]["id"] == ada.id
    assert first.json()["member_count"] == 2


def test_both_asking_for_the_direct_chat_at_once_get_one(people: People) -> None:
    for _ in range(5):
        ada, bob = people(2)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda pair: pair[0].direct_chat(pair[1]), [(ada, bob), (bob, ada)] * 4))
        assert len(set(made)) == 1


def test_a_direct_chat_with_oneself_is_saved_messages(people: People) -> None:
    (ada,) = people(1)
    chat = ada.post("/chats", {"type": "direct", "user_id": ada.id}, status=201)
    assert (chat["member_count"], chat["peer"]["id"]) == (1, ada.id)
    assert ada.post("/chats", {"type": "direct", "user_id": ada.id}, status=200)["id"] == chat["id"]
    ada.send(chat["id"], "note to self")
    assert ada.get(f"/chats/{chat['id']}")["unread_count"] == 0


def test_the_other_side_sees_a_direct_chat_with_its_first_message(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    assert [chat["id"] for chat in ada.get("/chats")["items"]] == [chat_id]
    assert bob.get("/chats")["items"] == []
    message = ada.send(chat_id, "hello")
    (chat,) = bob.get("/chats")["items"]
    assert (chat["id"], chat["unread_count"], chat["last_message"]) == (chat_id, 1, message)


def test_a_direct_chat_is_not_joined_even_by_its_people(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.direct_chat(bob)
    answers = [person.call("POST", f"/chats/{chat_id}/join") for person in (bob, eve)]
    assert [answer.status_code for answer in answers] == [409, 404]


def test_a_group_has_its_maker_as_owner_and_the_others_as_members(people: People) -> None:
    ada, bob, eve = people(3)
    body = {"type": "group", "name": "Chess", "description": "Mondays", "member_ids": [bob.id, eve.id, bob.id, ada.id]}
    chat = ada.post("/chats", body, status=201)
    assert (chat["role"], chat["member_count"], chat["name"], chat["description"]) == ("owner", 3, "Chess", "Mondays")
    assert (chat["created_by"], chat["peer"], chat["last_message"], chat["last_seq"]) == (ada.id, None, None, 0)
    assert bob.get(f"/chats/{chat['id']}")["role"] == "member"


def test_only_members_see_a_chat_and_others_do_not_learn_of_it(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob)
    answers = [eve.call("GET", f"/chats/{chat}") for chat in (chat_id, 2**53 - 1)]
    assert [answer.status_code for answer in answers] == [404, 404]
    details = [answer.json() | {"request_id": ""} for answer in answers]
    assert details[0] == details[1]
    assert eve.call("POST", f"/chats/{chat_id}/read", {}).status_code == 404


def test_who_blocked_the_maker_is_not_added(people: People) -> None:
    ada, bob = people(2)
    block(bob, ada)
    answer = ada.call("POST", "/chats", {"type": "group", "name": "Trap", "member_ids": [bob.id]})
    assert answer.status_code == 403
    assert bob.get("/chats")["items"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"type": "direct"}, 422),
        ({"type": "direct", "user_id": 2**53 - 1}, 404),
        ({"type": "direct", "user_id": 1, "name": "x"}, 422),
        ({"type": "group"}, 422),
        ({"type": "group", "name": ""}, 422),
        ({"type": "group", "name": "   "}, 422),
        ({"type": "group", "name": "x" * 129}, 422),
        ({"type": "group", "name": "x\0"}, 422),
        ({"type": "group", "name": "x", "user_id": 1}, 422),
        ({"type": "group", "name": "x", "member_ids": [2**53 - 1]}, 422),
        ({"type": "group", "name": "x", "member_ids": [0]}, 422),
        ({"type": "group", "name": "x", "member_ids": list(range(1, 202))}, 422),
        ({"type": "secret", "name": "x"}, 422),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_cannot_be_made_is_refused_and_makes_nothing(people: People, body: dict[str, Any], status: int) -> None:
    (ada,) = people(1)
    assert ada.call("POST", "/chats", body).status_code == status
    assert ada.get("/chats")["items"] == []


def test_the_list_is_by_last_activity_with_pinned_chats_first_and_pages_through_all(people: People) -> None:
    ada, bob = people(2)
    chats = [ada.group(bob, name=str(number)) for number in range(7)]
    for number in (3, 0, 5):
        bob.send(chats[number], "hello")
    with unit_of_work() as unit:
        unit.execute(
            text("UPDATE user_chat_states SET is_pinned = true WHERE user_id = :user AND chat_id = :chat"),
            {"user": ada.id, "chat": chats[1]},
        )
    expected = [chats[number] for number in (1, 5, 0, 3, 6, 4, 2)]
    assert [chat["id"] for chat in ada.get("/chats")["items"]] == expected
    assert [chat["id"] for page in pages(ada, "/chats", limit=2) for chat in page] == expected


def test_the_list_filters_by_type_and_by_unread(people: People) -> None:
    ada, bob = people(2)
    direct, quiet, busy = ada.direct_chat(bob), ada.group(bob), ada.group(bob)
    bob.send(busy, "unread")
    assert [chat["id"] for chat in ada.get("/chats", type="direct")["items"]] == [direct]
    assert {chat["id"] for chat in ada.get("/chats", type="group")["items"]} == {quiet, busy}
    assert [chat["id"] for chat in ada.get("/chats", unread="true")["items"]] == [busy]


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMiwzXQ", "WyJhIiwiYiIsImMiXQ", "8J-YgA", "x" * 600])
def test_a_cursor_that_is_not_ours_is_refused(people: People, cursor: str) -> None:
    (ada,) = people(1)
    assert ada.call("GET", f"/chats?cursor={cursor}").status_code == 422


def test_unread_counts_are_exact_with_and_without_the_fan_out(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    messages = [ada.send(chat_id, str(number)) for number in range(5)]
    bob.send(chat_id, "my own does not count")
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 5
    assert ada.get(f"/chats/{chat_id}")["unread_count"] == 1
    assert bob.post(f"/chats/{chat_id}/read", {"message_id": messages[2]["id"]})["unread_count"] == 2
    assert bob.post(f"/chats/{chat_id}/read", {"message_id": messages[0]["id"]}) == {
        "last_read_message_id": messages[2]["id"],
        "last_read_seq": 3,
        "unread_count": 2,
    }
    assert bob.post(f"/chats/{chat_id}/read")["unread_count"] == 0
    assert bob.post(f"/chats/{chat_id}/read")["unread_count"] == 0


def test_reading_up_to_a_message_of_another_chat_is_refused(people: People) -> None:
    ada, bob = people(2)
    chat_id, other = ada.direct_chat(bob), ada.group(bob)
    message = ada.send(other, "elsewhere")
    assert bob.call("POST", f"/chats/{chat_id}/read", {"message_id": message["id"]}).status_code == 404


def test_a_chats_list_is_one_statement_however_many_chats(people: People, app: Flask) -> None:
    ada, bob = people(2)
    for number in range(12):
        ada.send(ada.group(bob, name=str(number)), "hello")
    with app.app_context(), reading() as unit, counted_statements():
        service.list_chats(unit, bob.id, ChatQuery())
    with app.app_context(), counted_statements() as statements, reading() as unit:
        assert len(service.list_chats(unit, bob.id, ChatQuery())["items"]) == 12
    assert len(statements) == 1

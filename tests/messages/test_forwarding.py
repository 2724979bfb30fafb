"""Forwarding: the same words to some chats, to all of them or to none, in the name of their first author."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.messages import unread
from config import settings
from tests.factories import run, scalar
from tests.messages.scenes import People, cast, leave, together
from tests.people import Person
from tests.processes import Api


def forward(person: Person, message_id: int, *chat_ids: int, **fields: Any) -> Any:
    return person.call("POST", f"/messages/{message_id}/forward", {"chat_ids": chat_ids, **fields})


def stored(*chat_ids: int) -> int:
    """How many messages the chats hold."""
    count = scalar("SELECT count(*) FROM messages WHERE chat_id = ANY (:ids)", ids=list(chat_ids))
    assert isinstance(count, int)
    return count


def test_a_forwarded_message_is_a_message_of_its_own_that_names_the_first_author(people: People) -> None:
    ada, bob, eve, dan = people(4)
    source = ada.send(ada.direct_chat(bob), "  words as they are \n")
    group, direct = bob.group(eve), bob.direct_chat(eve)
    with eve.socket() as socket:
        answer = forward(bob, source["id"], group, direct)
        items = answer.json()["items"]
        assert {socket.next("new_message")["id"] for _ in range(2)} == {item["id"] for item in items}
    assert answer.status_code == 201
    assert [item["chat_id"] for item in items] == [group, direct]
    for item in items:
        assert (item["text"], item["sender_id"]) == (source["text"], bob.id)
        assert (item["forwarded_from_user_id"], item["reply_to_id"], item["client_id"]) == (ada.id, None, None)
        assert (item["seq"], item["message_type"], item["edited_at"]) == (1, "text", None)
        assert item.keys() == source.keys()
        assert eve.get(f"/messages/{item['id']}") == item
    further = eve.direct_chat(dan)
    (again,) = forward(eve, items[0]["id"], further).json()["items"]
    assert (again["forwarded_from_user_id"], again["sender_id"]) == (ada.id, eve.id)
    unread.fan_out_all([group, direct, further])
    assert [eve.get(f"/chats/{chat}")["unread_count"] for chat in (group, direct)] == [1, 1]


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [
        ("group", {"sender": 201, "owner": 201, "admin": 201, "member": 201, "former": 404, "stranger": 404}),
        ("channel", {"sender": 201, "owner": 201, "admin": 201, "member": 201, "former": 404, "stranger": 404}),
        ("direct", {"sender": 201, "peer": 201, "stranger": 404}),
    ],
)
def test_who_sees_a_message_may_forward_it(people: People, kind: str, outcomes: dict[str, int]) -> None:
    chat_id, roles = cast(people, kind)
    source = roles["sender"].send(chat_id, "words")["id"]
    answers = {role: forward(p, source, p.direct_chat(p)).status_code for role, p in roles.items()}
    assert answers == outcomes


def test_to_a_chat_where_one_cannot_post_nothing_is_stored_anywhere(people: People) -> None:
    ada, bob, eve = people(3)
    source = ada.send(ada.direct_chat(ada), "words")["id"]
    free = [ada.group(bob), ada.direct_chat(bob)]
    news = bob.post("/chats", {"type": "channel", "name": "News", "member_ids": [ada.id]})["id"]
    left = bob.group(ada)
    leave(left, ada)
    blocked = ada.direct_chat(eve)
    run("INSERT INTO blocks (user_id, blocked_id) VALUES (:eve, :ada)", eve=eve.id, ada=ada.id)
    foreign = bob.direct_chat(eve)
    refusals = {news: 403, blocked: 403, left: 404, foreign: 404, 2**53 - 1: 404}
    with bob.socket() as socket:
        for target, status in refusals.items():
            for targets in ((*free, target), (target, *free)):
                assert forward(ada, source, *targets, client_id=str(uuid4())).status_code == status
        ada.send(free[0], "a sign that all before has come")
        socket.next("new_message")
        assert [e["data"]["text"] for e in socket.events if e["event"] == "new_message"] == [
            "a sign that all before has come"
        ]
    assert stored(free[1], news, left, blocked, foreign) == 0
    assert stored(free[0]) == 1
    assert scalar("SELECT count(*) FROM message_dedup WHERE sender_id = :u", u=ada.id) == 0


def test_deleted_hidden_and_service_messages_cannot_be_forwarded(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    gone, hidden, notice = (ada.send(chat_id, text)["id"] for text in ("gone", "hidden", "notice"))
    assert ada.call("DELETE", f"/messages/{gone}?for=everyone").status_code == 204
    assert ada.call("DELETE", f"/messages/{hidden}").status_code == 204
    run("UPDATE messages SET message_type = 'service' WHERE id = :id", id=notice)
    assert [forward(ada, m, chat_id).status_code for m in (gone, hidden, 2**53 - 1, notice)] == [404, 404, 404, 403]
    assert forward(bob, hidden, chat_id).status_code == 201


def test_one_client_id_forwards_once_however_often_and_wherever_it_is_repeated(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chats = [ada.direct_chat(bob), ada.group(bob), ada.direct_chat(ada)]
    source = ada.send(chats[0], "words")["id"]
    client_id = str(uuid4())
    there = Person(**(vars(ada) | {"url": second_api.url}))
    answers = together(
        *[lambda n=n: forward((ada, there)[n % 2], source, *chats, client_id=client_id) for n in range(8)]
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({str(answer.json()["items"]) for answer in answers}) == 1
    assert len({item["client_id"] for item in answers[0].json()["items"]}) == 3
    assert stored(*chats) == 1 + 3


def test_repeating_after_an_edit_gives_the_first_words_and_another_chat_is_added(people: People) -> None:
    ada, bob = people(2)
    chat_id, other = ada.direct_chat(bob), ada.group(bob)
    source = ada.send(chat_id, "first")["id"]
    client_id = str(uuid4())
    first = forward(ada, source, other, client_id=client_id).json()["items"]
    assert ada.call("PUT", f"/messages/{source}", {"text": "second"}).status_code == 200
    again = forward(ada, source, other, client_id=client_id)
    assert (again.status_code, again.json()["items"]) == (200, first)
    more = forward(ada, source, other, chat_id, client_id=client_id)
    assert (more.status_code, [item["text"] for item in more.json()["items"]]) == (201, ["first", "second"])
    assert stored(other) == 1


@pytest.mark.parametrize("whom", ["me", "everyone"])
def test_repeating_a_forward_whose_source_is_gone_answers_what_was_stored(people: People, whom: str) -> None:
    ada, bob = people(2)
    chat_id, other, third = ada.direct_chat(bob), ada.group(bob), ada.group(bob)
    source = ada.send(chat_id, "words")["id"]
    client_id = str(uuid4())
    first = forward(ada, source, other, third, client_id=client_id)
    assert ada.call("DELETE", f"/messages/{source}?for={whom}").status_code == 204
    again = forward(ada, source, other, third, client_id=client_id)
    assert (again.status_code, again.json()) == (200, first.json())
    assert forward(ada, source, third, client_id=client_id).json()["items"] == first.json()["items"][1:]
    # What was not stored then cannot be stored any more.
    assert forward(ada, source, other, chat_id, client_id=client_id).status_code == 404
    assert forward(ada, source, other).status_code == 404
    assert forward(bob, source, other, client_id=client_id).status_code == (404 if whom == "everyone" else 201)
    reused = forward(ada, source + 1, other, client_id=client_id)
    assert (reused.status_code, reused.json()["code"]) == (409, "client_id_reused")
    leave(other, ada)
    assert forward(ada, source, other, third, client_id=client_id).status_code == 404
    assert stored(third) == 1


def test_what_is_stored_no_longer_keeps_nobody_from_learning_what_was_stored_beside_it(people: People) -> None:
    ada, bob = people(2)
    source = ada.send(ada.direct_chat(bob), "words")
    saved, group = ada.direct_chat(ada), ada.group(bob)
    client_id = str(uuid4())
    (first,) = forward(ada, source["id"], saved, client_id=client_id).json()["items"]
    run("DELETE FROM messages WHERE id = :id", id=first["id"])
    answer = forward(ada, source["id"], saved, group, client_id=client_id)
    assert answer.status_code == 201
    assert [item["chat_id"] for item in answer.json()["items"]] == [group]
    assert stored(saved, group) == 1


def test_a_client_id_used_for_another_message_stores_nothing(people: People) -> None:
    ada, bob = people(2)
    chat_id, other = ada.direct_chat(bob), ada.group(bob)
    first, second = ada.send(chat_id, "first")["id"], ada.send(chat_id, "second")["id"]
    client_id = str(uuid4())
    assert forward(ada, first, other, client_id=client_id).status_code == 201
    answer = forward(ada, second, chat_id, other, client_id=client_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "client_id_reused")
    assert stored(chat_id, other) == 3


def test_forwards_and_sends_crossing_each_other_leave_no_gap(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chats = [ada.group(bob) for _ in range(4)]
    source = ada.send(ada.direct_chat(bob), "words")["id"]
    bob.url = second_api.url

    def forward_all(person: Person, order: int) -> None:
        for _ in range(5):
            assert forward(person, source, *chats[::order]).status_code == 201

    def send_all() -> None:
        for chat_id in chats * 5:
            bob.send(chat_id, "between")

    together(lambda: forward_all(ada, 1), lambda: forward_all(bob, -1), send_all)
    for chat_id in chats:
        assert scalar("SELECT array_agg(seq ORDER BY id) FROM messages WHERE chat_id = :c", c=chat_id) == [
            *range(1, 16)
        ]


@pytest.mark.parametrize(
    "fields",
    [
        {"chat_ids": []},
        {"chat_ids": list(range(1, 12))},
        {"chat_ids": [1, 1]},
        {"chat_ids": ["1"]},
        {"chat_ids": [0]},
        {"chat_ids": [2**53]},
        {"chat_ids": [None]},
        {"chat_ids": 1},
        {"chat_ids": None},
        {"client_id": "x"},
        {"text": "more"},
    ],
    ids=repr,
)
def test_a_bad_field_is_refused(people: People, fields: dict[str, Any]) -> None:
    (ada,) = people(1)
    saved = ada.direct_chat(ada)
    source = ada.send(saved, "words")["id"]
    answer = ada.call("POST", f"/messages/{source}/forward", {"chat_ids": [saved]} | fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert stored(saved) == 1


def test_a_signed_out_session_forwards_nothing(people: People) -> None:
    (ada,) = people(1)
    saved = ada.direct_chat(ada)
    source = ada.send(saved, "words")["id"]
    ada.post("/auth/logout", status=204)
    assert forward(ada, source, saved).status_code == 401
    assert stored(saved) == 1


def test_each_chat_that_a_message_is_forwarded_to_counts_as_one_use_of_the_limit(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada,) = people(1)
    chats = [ada.group() for _ in range(3)]
    source = ada.send(chats[0], "words")["id"]
    for name, value in {"rate_limit_enabled": True, "rate_limit_messages": 5}.items():
        monkeypatch.setattr(settings(), name, value)
    client = app.test_client()

    def status(path: str, **body: Any) -> int:
        return client.post(
            f"/api{path}", json=body, headers={"Authorization": f"Bearer {ada.access_token}"}
        ).status_code

    assert status(f"/messages/{source}/forward", chat_ids=chats) == 201
    assert status(f"/messages/{source}/forward", chat_ids=chats) == 429
    assert [status("/messages", chat_id=chats[0], text="more") for _ in range(2)] == [201, 201]
    assert status("/messages", chat_id=chats[0], text="more") == 429


def test_more_chats_than_the_limit_allows_at_all_use_up_the_whole_allowance(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada,) = people(1)
    chats = [ada.group() for _ in range(3)]
    source = ada.send(chats[0], "words")["id"]
    for name, value in {"rate_limit_enabled": True, "rate_limit_messages": 2}.items():
        monkeypatch.setattr(settings(), name, value)
    client = app.test_client()
    headers = {"Authorization": f"Bearer {ada.access_token}"}
    answers = [
        client.post(f"/api/messages/{source}/forward", json={"chat_ids": chats}, headers=headers) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 429]

"""Sending: stored once, in order, only by members; the same over REST and over the socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.infra.db import unit_of_work
from tests.factories import run
from tests.messages.scenes import together
from tests.people import Person

People = Callable[[int], list[Person]]


def rows_of(chat_id: int) -> list[Any]:
    with unit_of_work() as unit:
        found = unit.execute(
            text("SELECT seq, id, text, revision FROM messages WHERE chat_id = :chat_id ORDER BY seq"),
            {"chat_id": chat_id},
        )
        return list(found)


def test_one_client_id_sent_from_8_threads_makes_one_message(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    body = {"chat_id": chat_id, "text": "once", "client_id": str(uuid4())}
    answers = together(*[lambda: ada.call("POST", "/messages", body)] * 8)
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [row.text for row in rows_of(chat_id)] == ["once"]


def test_one_client_id_sent_to_two_processes_at_once_makes_one_message(people: People, second_api: Any) -> None:
    ada, bob = people(2)
    chats = [ada.direct_chat(bob), ada.group(bob)]
    for _ in range(10):
        client_id = str(uuid4())

        def send(url: str, client_id: str = client_id) -> Any:
            body = {"chat_id": chats[0], "text": "once", "client_id": client_id}
            return replace(ada, url=url).call("POST", "/messages", body)

        answers = together(lambda: send(ada.url), lambda: send(second_api.url), lambda: send(second_api.url))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert [row.seq for row in rows_of(chats[0])] == list(range(1, 11))


def test_a_client_id_with_another_body_is_a_conflict_and_stores_nothing(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    client_id = str(uuid4())
    ada.send(chat_id, "first", client_id=client_id)
    answer = ada.call("POST", "/messages", {"chat_id": chat_id, "text": "second", "client_id": client_id})
    assert (answer.status_code, answer.json()["code"]) == (409, "client_id_reused")
    assert [row.text for row in rows_of(chat_id)] == ["first"]


def test_many_senders_at_once_leave_no_gap_in_seq_and_ids_in_its_order(people: People, second_api: Any) -> None:
    senders = people(6)
    chat_id = senders[0].group(*senders[1:])
    for sender in senders[3:]:
        sender.url = second_api.url

    def send_all(sender: Person) -> None:
        for number in range(20):
            sender.send(chat_id, f"{sender.id} {number}")

    together(*[lambda sender=sender: send_all(sender) for sender in senders])
    rows = rows_of(chat_id)
    assert [row.seq for row in rows] == list(range(1, 121))
    ids = [row.id for row in rows]
    assert ids == sorted(set(ids))
    assert all(row.id == row.revision for row in rows)


@pytest.mark.parametrize("door", ["rest", "socket"])
def test_a_stranger_cannot_send_and_does_not_learn_that_the_chat_exists(people: People, door: str) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.direct_chat(bob)
    codes = set()
    for target in (chat_id, 2**53 - 1):
        body = {"chat_id": target, "text": "let me in"}
        if door == "rest":
            answer = eve.call("POST", "/messages", body)
            assert answer.status_code == 404
            codes.add((answer.json()["code"], answer.json()["detail"]))
        else:
            with eve.socket() as socket:
                refusal = socket.ask("message", body)
                assert refusal["event"] == "error"
                codes.add((refusal["data"]["code"], refusal["data"]["detail"]))
    assert len(codes) == 1
    assert rows_of(chat_id) == []


def test_only_the_owner_posts_in_a_channel_whose_members_read(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.post("/chats", {"type": "channel", "name": "News", "member_ids": [bob.id]})["id"]
    ada.send(chat_id, "news")
    assert bob.call("POST", "/messages", {"chat_id": chat_id, "text": "me too"}).status_code == 403
    assert [message["text"] for message in bob.get(f"/chats/{chat_id}/messages")["items"]] == ["news"]


def test_who_is_blocked_cannot_send_to_who_blocked_them(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with unit_of_work() as unit:
        unit.execute(text("INSERT INTO blocks VALUES (:bob, :ada)"), {"bob": bob.id, "ada": ada.id})
    answer = ada.call("POST", "/messages", {"chat_id": chat_id, "text": "hello?"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    bob.send(chat_id, "I may still write")
    assert len(rows_of(chat_id)) == 1


def test_a_signed_out_session_cannot_send(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    assert ada.call("POST", "/auth/logout").status_code == 204
    answer = ada.call("POST", "/messages", {"chat_id": chat_id, "text": "still me"})
    assert (answer.status_code, answer.json()["code"]) == (401, "session_revoked")
    assert rows_of(chat_id) == []


def test_a_reply_must_be_to_a_message_of_the_same_chat(people: People) -> None:
    ada, bob = people(2)
    chat_id, other = ada.direct_chat(bob), ada.group(bob)
    first = ada.send(chat_id, "question")
    assert ada.send(chat_id, "answer", reply_to_id=first["id"])["reply_to_id"] == first["id"]
    answer = ada.call("POST", "/messages", {"chat_id": other, "text": "lost", "reply_to_id": first["id"]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "reply_to_id"


@pytest.mark.parametrize("why", ["deleted for oneself", "cleared", "from before one came"])
def test_nobody_replies_to_a_message_that_they_do_not_see(people: People, why: str) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    message_id = ada.send(chat_id, "question")["id"]
    if why == "deleted for oneself":
        assert bob.call("DELETE", f"/messages/{message_id}").status_code == 204
    elif why == "cleared":
        assert bob.call("DELETE", f"/chats/{chat_id}/history").status_code == 204
    else:
        run("UPDATE chat_members SET history_from_seq = 1 WHERE chat_id = :c AND user_id = :u", c=chat_id, u=bob.id)
    answer = bob.call("POST", "/messages", {"chat_id": chat_id, "text": "answer", "reply_to_id": message_id})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reply_to_id")
    assert ada.send(chat_id, "more", reply_to_id=message_id)["reply_to_id"] == message_id


def test_text_is_kept_as_sent(people: People) -> None:
    (ada,) = people(1)
    saved = ada.post("/chats", {"type": "direct", "user_id": ada.id})["id"]
    for words in (
        "  spaces \n stay ",
        "🧑‍🚀 e\u0301 ﷽ \u202eabc",
        "<b>'; DROP TABLE messages; --</b> %s \\",
        "x" * 4096,
    ):
        assert ada.send(saved, words)["text"] == words
        assert ada.get(f"/chats/{saved}/messages", limit=1)["items"][0]["text"] == words


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": " \n\t "},
        {"text": None},
        {"text": "x" * 4097},
        {"text": "nul \0 inside"},
        {"text": 5},
        {"chat_id": 0},
        {"chat_id": -1},
        {"chat_id": 2**53},
        {"chat_id": 10**30},
        {"chat_id": "1"},
        {"chat_id": 1.5},
        {"chat_id": True},
        {"client_id": "not a uuid"},
        {"reply_to_id": 2**63},
        {"file_id": "9aa4a9fb-beed-48fe-b295-9702000de482"},
        {"colour": "red"},
    ],
    ids=repr,
)
def test_both_doors_refuse_a_bad_field_and_live_on(people: People, fields: dict[str, Any]) -> None:
    (ada,) = people(1)
    saved = ada.post("/chats", {"type": "direct", "user_id": ada.id})["id"]
    body = {"chat_id": saved, "text": "fine"} | fields
    answer = ada.call("POST", "/messages", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    with ada.socket() as socket:
        refusal = socket.ask("message", body)
        assert (refusal["event"], refusal["data"]["code"]) == ("error", "validation_failed")
        assert socket.ask("message", {"chat_id": saved, "text": "fine"})["event"] == "ack"

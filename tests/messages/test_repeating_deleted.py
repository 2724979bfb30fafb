"""Repeating a send or a forward whose message was deleted since: its tombstone, and nothing is stored again."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.factories import run, scalar
from tests.messages.deleting import delete, texts
from tests.messages.scenes import People


@pytest.mark.parametrize("how", ["for everyone", "for oneself", "with the history"])
@pytest.mark.parametrize("door", ["rest", "socket"])
def test_repeating_a_send_whose_message_is_gone_answers_its_tombstone_and_stores_nothing(
    people: People, how: str, door: str
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    body = {"chat_id": chat_id, "text": "words", "client_id": str(uuid4())}
    sent = ada.post("/messages", body)
    if how == "with the history":
        assert ada.call("DELETE", f"/chats/{chat_id}/history").status_code == 204
    else:
        assert delete(ada, sent["id"], "everyone" if how == "for everyone" else "me") == 204
    if door == "rest":
        again: dict[str, Any] = ada.post("/messages", body, status=200)
    else:
        with ada.socket() as socket:
            answer = socket.ask("message", body)
            assert answer["event"] == "ack"
            again = answer["data"]
    assert (again["id"], again["seq"], again["deleted"], again["text"]) == (sent["id"], 1, True, None)
    assert texts(ada, chat_id) == []
    assert scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id) == 1


def test_repeating_a_forward_whose_message_is_gone_answers_its_tombstone(people: People) -> None:
    ada, bob = people(2)
    chat_id, saved = ada.direct_chat(bob), ada.direct_chat(ada)
    source = ada.send(chat_id, "words")["id"]
    body = {"chat_ids": [saved], "client_id": str(uuid4())}
    (sent,) = ada.post(f"/messages/{source}/forward", body, status=201)["items"]
    assert delete(ada, sent["id"], "me") == 204
    (again,) = ada.post(f"/messages/{source}/forward", body, status=200)["items"]
    assert (again["id"], again["deleted"], again["text"]) == (sent["id"], True, None)


def test_repeating_a_send_whose_message_is_stored_no_longer_is_not_found(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    body = {"chat_id": chat_id, "text": "words", "client_id": str(uuid4())}
    sent = ada.post("/messages", body)
    run("DELETE FROM messages WHERE id = :id", id=sent["id"])
    answer = ada.call("POST", "/messages", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id) == 1

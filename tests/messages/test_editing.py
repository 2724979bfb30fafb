"""Editing: the sender only, for 48 hours, while one may send; everybody hears of it, after the message."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.messages import queries
from tests.counting import counted_statements
from tests.factories import run, scalar
from tests.messages.scenes import People, cast, give_role, leave, together
from tests.people import Person
from tests.processes import Api

IN_A_GROUP = {"sender": 200, "owner": 403, "admin": 403, "member": 403, "former": 404, "stranger": 404}


def edit(person: Person, message_id: int, text: str = "edited") -> Any:
    return person.call("PUT", f"/messages/{message_id}", {"text": text})


def make_older(message_id: int, interval: str) -> None:
    run(
        "UPDATE messages SET created_at = created_at - CAST(:interval AS interval) WHERE id = :id",
        interval=interval,
        id=message_id,
    )


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [("group", IN_A_GROUP), ("channel", IN_A_GROUP), ("direct", {"sender": 200, "peer": 403, "stranger": 404})],
)
def test_only_the_sender_edits(people: People, kind: str, outcomes: dict[str, int]) -> None:
    chat_id, roles = cast(people, kind)
    sent = roles["sender"].send(chat_id, "original")
    answers = {role: edit(person, sent["id"], f"by the {role}").status_code for role, person in roles.items()}
    assert answers == outcomes
    assert roles["sender"].get(f"/messages/{sent['id']}")["text"] == "by the sender"


def test_an_edited_message_tells_when_and_has_a_higher_revision_and_the_same_place(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    sent = ada.send(chat_id, "original", client_id=str(uuid4()))
    edited = edit(ada, sent["id"], "better").json()
    assert edited["edited_at"] is not None
    assert edited["revision"] > sent["revision"]
    changed = {"text": "better", "edited_at": edited["edited_at"], "revision": edited["revision"]}
    assert edited == sent | changed
    assert bob.get(f"/messages/{sent['id']}") == edited
    assert bob.get(f"/chats/{chat_id}/messages")["items"] == [edited]
    assert bob.get(f"/chats/{chat_id}")["last_message"] == edited
    assert bob.get(f"/chats/{chat_id}")["revision"] == edited["revision"]


def test_the_same_text_changes_nothing_and_tells_nobody(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    sent = ada.send(chat_id, "as it is")
    with bob.socket() as socket:
        answer = edit(ada, sent["id"], "as it is")
        assert (answer.status_code, answer.json()) == (200, sent)
        ada.send(chat_id, "a sign that all before has come")
        socket.next("new_message")
        assert [event for event in socket.events if event["event"] == "message_updated"] == []


def test_48_hours_later_it_is_too_late(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    late, in_time = ada.send(chat_id, "late"), ada.send(chat_id, "in time")
    make_older(late["id"], "48 hours 1 second")
    make_older(in_time["id"], "47 hours 55 minutes")
    answer = edit(ada, late["id"])
    assert (answer.status_code, answer.json()["code"]) == (403, "edit_window_over")
    assert ada.get(f"/messages/{late['id']}")["text"] == "late"
    assert edit(ada, in_time["id"]).status_code == 200


def test_who_has_left_cannot_edit_what_they_sent(people: People) -> None:
    chat_id, roles = cast(people, "group")
    sent = roles["sender"].send(chat_id, "original")
    leave(chat_id, roles["sender"])
    assert edit(roles["sender"], sent["id"]).status_code == 404
    assert roles["owner"].get(f"/messages/{sent['id']}")["text"] == "original"


def test_who_may_not_send_any_more_cannot_say_it_by_an_edit(people: People) -> None:
    channel, roles = cast(people, "channel")
    post = roles["sender"].send(channel, "news")
    give_role(channel, roles["sender"], "member")
    assert edit(roles["sender"], post["id"]).status_code == 403
    ada, bob = people(2)
    sent = ada.send(ada.direct_chat(bob), "hello")
    run("INSERT INTO blocks (user_id, blocked_id) VALUES (:bob, :ada)", bob=bob.id, ada=ada.id)
    assert edit(ada, sent["id"]).status_code == 403
    assert bob.get(f"/messages/{sent['id']}")["text"] == "hello"


def test_service_messages_are_not_edited_even_by_who_caused_them(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    notice = ada.send(chat_id, "made a notice")["id"]
    run(
        "UPDATE messages SET message_type = 'service', text = NULL, service = '{\"action\": \"x\"}' WHERE id = :id",
        id=notice,
    )
    assert edit(ada, notice).status_code == 403


def test_a_forwarded_message_keeps_the_words_of_its_author(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    sent = ada.send(chat_id, "I said so")
    (forwarded,) = bob.post(f"/messages/{sent['id']}/forward", {"chat_ids": [chat_id]})["items"]
    assert edit(bob, forwarded["id"], "I never did").status_code == 403


def test_deleted_cleared_and_unknown_messages_are_not_there(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    gone, hidden, cleared = (ada.send(chat_id, text)["id"] for text in ("gone", "hidden", "cleared"))
    assert ada.call("DELETE", f"/messages/{gone}?for=everyone").status_code == 204
    assert ada.call("DELETE", f"/messages/{hidden}").status_code == 204
    run("UPDATE user_chat_states SET cleared_seq = 3 WHERE user_id = :u AND chat_id = :c", u=ada.id, c=chat_id)
    for message_id in (gone, hidden, cleared, 2**53 - 1):
        assert edit(ada, message_id).status_code == 404
        assert ada.call("GET", f"/messages/{message_id}").status_code == 404
    assert [bob.call("GET", f"/messages/{m}").status_code for m in (gone, hidden, cleared)] == [404, 200, 200]


@pytest.mark.parametrize(
    "body", [{}, {"text": None}, {"text": ""}, {"text": " \n"}, {"text": "x" * 4097}, {"text": "\0"}, {"text": 1},
             {"text": "x", "chat_id": 1}], ids=repr
)  # fmt: skip
def test_bad_words_are_refused_as_for_a_send(people: People, body: dict[str, Any]) -> None:
    (ada,) = people(1)
    sent = ada.send(ada.direct_chat(ada), "fine")
    answer = ada.call("PUT", f"/messages/{sent['id']}", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert ada.get(f"/messages/{sent['id']}") == sent


def test_repeating_a_send_after_an_edit_gives_the_edited_message(people: People) -> None:
    ada, bob = people(2)
    body = {"chat_id": ada.direct_chat(bob), "text": "original", "client_id": str(uuid4())}
    sent = ada.post("/messages", body)
    edited = edit(ada, sent["id"]).json()
    assert ada.post("/messages", body, status=200) == edited


def test_new_updated_and_deleted_arrive_at_another_process_in_this_order(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket(second_api.url) as socket, ada.socket(second_api.url) as own:
        expected = []
        for number in range(20):
            sent = ada.send(chat_id, str(number))
            edited = edit(ada, sent["id"], f"{number}!").json()
            assert ada.call("DELETE", f"/messages/{sent['id']}?for=everyone").status_code == 204
            expected += [("new_message", sent), ("message_updated", edited), ("message_deleted", [sent["id"]])]
        for receiver in (socket, own):
            received: list[tuple[str, Any]] = []
            while len(received) < len(expected):
                event = receiver.read()
                if event["event"] in ("new_message", "message_updated", "message_deleted"):
                    received.append((event["event"], event["data"].get("message_ids", event["data"])))
            assert received == expected


def test_an_edit_that_overtakes_its_message_comes_after_it(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "not told", None)
        (stored,) = queries.send_batch([send])
        assert stored.message_id is not None
        edited = edit(ada, stored.message_id, "told late").json()
        events = [socket.until(lambda event: event["data"].get("id") == stored.message_id) for _ in range(2)]
        assert [(event["event"], event["data"]) for event in events] == [
            ("new_message", edited),
            ("message_updated", edited),
        ]


def test_edits_at_two_processes_leave_one_of_their_texts_and_rising_revisions(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    sent = ada.send(ada.direct_chat(bob), "original")
    there = Person(**(vars(ada) | {"url": second_api.url}))
    answers = together(*[lambda n=n: edit((ada, there)[n % 2], sent["id"], f"text {n}").json() for n in range(8)])
    last = max(answers, key=lambda message: message["revision"])
    assert len({message["revision"] for message in answers}) == 8
    assert bob.get(f"/messages/{sent['id']}") == last


def test_an_edit_and_a_deletion_at_once_leave_no_words(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    there = Person(**(vars(ada) | {"url": second_api.url}))
    for _ in range(10):
        message_id: int = ada.send(chat_id, "original")["id"]
        edited, deleted = together(
            partial(lambda m: edit(ada, m).status_code, message_id),
            partial(lambda m: there.call("DELETE", f"/messages/{m}?for=everyone").status_code, message_id),
        )
        assert deleted == 204
        assert edited in (200, 404)
        assert scalar("SELECT text FROM messages WHERE id = :id AND deleted_at IS NOT NULL", id=message_id) is None
        assert scalar("SELECT deleted_at IS NOT NULL FROM messages WHERE id = :id", id=message_id) is True


def test_an_edit_takes_at_most_8_statements(people: People, app: Flask) -> None:
    ada, bob = people(2)
    sent = ada.send(ada.direct_chat(bob), "original")
    headers = {"Authorization": f"Bearer {ada.access_token}"}
    with counted_statements() as statements:
        answer = app.test_client().put(f"/api/messages/{sent['id']}", json={"text": "edited"}, headers=headers)
    assert answer.status_code == 200
    assert len(statements) <= 8, statements

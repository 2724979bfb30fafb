"""Once a block is answered, nothing of the blocked person comes any more, however close it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from app.chats import service as chats
from app.chats.schemas import NewChat
from app.infra.db import unit_of_work
from tests.factories import insert_messages, run, scalar
from tests.messages.scenes import People
from tests.people import Person
from tests.processes import Api, eventually
from tests.waiting import waiting_for


def block(person: Person, other: Person) -> None:
    assert person.call("POST", f"/users/{other.id}/block").status_code == 204


def last_seq(chat_id: int) -> int:
    return int(str(scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id)))


def test_a_block_is_answered_after_the_message_that_is_just_being_stored(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work() as sending:
            insert_messages(sending, chat_id, [bob.id])
            blocking = threads.submit(block, ada, bob)
            eventually(lambda: waiting_for(sending.connection) == 1)
            assert not blocking.done()
        blocking.result(20)
    assert last_seq(chat_id) == 1


def test_a_chat_that_is_just_being_opened_holds_a_block_up(people: People) -> None:
    ada, bob = people(2)
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work() as opening:
            chat, _ = chats.create_chat(opening, bob.id, NewChat(type="direct", user_id=ada.id))
            blocking = threads.submit(block, ada, bob)
            eventually(lambda: waiting_for(opening.connection) == 1)
            assert not blocking.done()
        blocking.result(20)
    assert bob.call("POST", "/messages", {"chat_id": chat["id"], "text": "hello"}).status_code == 403


def test_an_edit_that_waits_while_its_author_is_blocked_is_refused(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = bob.send(chat_id, "before")["id"]
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work() as holder:
            holder.connection.exec_driver_sql("SELECT 1 FROM chats WHERE id = %s FOR UPDATE", (chat_id,))
            editing = threads.submit(bob.call, "PUT", f"/messages/{message_id}", {"text": "after"})
            eventually(lambda: waiting_for(holder.connection) == 1)
            run("INSERT INTO blocks (user_id, blocked_id) VALUES (:ada, :bob)", ada=ada.id, bob=bob.id)
        assert editing.result(20).status_code == 403
    assert ada.get(f"/messages/{message_id}")["text"] == "before"


def test_senders_at_two_processes_store_nothing_after_the_answer_to_a_block(people: People, second_api: Api) -> None:
    for _ in range(5):
        ada, bob = people(2)
        chat_id = ada.direct_chat(bob)
        there = Person(**(vars(bob) | {"url": second_api.url}))
        stop = threading.Event()

        def send(person: Person, chat_id: int = chat_id, stop: threading.Event = stop) -> int:
            refused = 0
            while not stop.is_set() or refused == 0:
                answer = person.call("POST", "/messages", {"chat_id": chat_id, "text": "hello"})
                assert answer.status_code in (201, 403), answer.text
                refused += answer.status_code == 403
            return refused

        with ThreadPoolExecutor(4) as senders:
            sending = [senders.submit(send, person) for person in (bob, there, bob, there)]
            eventually(lambda chat_id=chat_id: last_seq(chat_id) > 10)
            block(ada, bob)
            stored = last_seq(chat_id)
            stop.set()
            assert all(result.result(20) for result in sending)
        assert last_seq(chat_id) == stored

"""Events are hints: what is lost on the way is found in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from app.messages import queries
from tests.faults.hurting import remove_untold
from tests.people import Person
from tests.processes import Api, Worker, eventually

People = Callable[[int], list[Person]]


def commit_and_die(sender: Person, chat_id: int, text: str) -> int:
    """What a process does that is killed between the commit and the publish; the message's id."""
    send = queries.Send(chat_id, sender.id, sender.session_id, None, b"", "text", text, None)
    (sent,) = queries.send_batch([send])
    assert sent.message_id is not None
    return sent.message_id


def test_a_message_whose_publish_was_lost_comes_before_the_next_one(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as socket:
        ada.send(chat_id, "first")
        commit_and_die(ada, chat_id, "lost")
        ada.send(chat_id, "third")
        assert [socket.next("new_message")["text"] for _ in range(3)] == ["first", "lost", "third"]


def test_a_lost_message_comes_by_itself_once_the_unread_counts_follow(people: People, worker: Worker) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as socket:
        message_id = commit_and_die(ada, chat_id, "lost")
        # Nobody asked for the fan-out either: the sweep finds the chat.
        from app.messages.unread_jobs import sweep

        socket.socket.settimeout(1)
        for _ in range(30):
            sweep()
            try:
                if socket.next("new_message")["id"] == message_id:
                    return
            except Exception as error:
                if "timed out" not in str(error):
                    raise
    raise AssertionError("the message never came")


def test_a_former_member_gets_nothing_even_where_the_removal_was_not_told(people: People, second_api: Api) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    with bob.socket(second_api.url) as removed, eve.socket(second_api.url) as member:
        ada.send(chat_id, "to all")
        assert removed.next("new_message")["text"] == "to all"
        remove_untold(chat_id, bob.id)
        ada.send(chat_id, "without bob")
        assert member.next("new_message", text="without bob")
        assert [event for event in removed.quiet() if event["event"] == "new_message"] == []


def test_a_cursor_does_not_pass_a_transaction_that_may_still_commit(people: People, app: Flask) -> None:
    from sqlalchemy import text

    from app.infra.db import engine, reading
    from app.sync.queries import horizon

    with engine().connect() as slow, slow.begin():
        revision = slow.execute(
            text("INSERT INTO chats (type, revision) VALUES ('group', next_message_id()) RETURNING revision")
        ).scalar_one()
        with reading() as unit:
            assert horizon(unit) < revision

    def has_passed() -> bool:
        with reading() as unit:
            return bool(horizon(unit) >= revision)

    eventually(has_passed)

"""Sends that share a batch share nothing else: one that waits or fails is no trouble of the others."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.infra.db import engine
from app.messages import queries
from app.messages.queries import Send
from tests.chats.membership import join, make_public
from tests.messages.scenes import leave
from tests.people import Person
from tests.processes import eventually
from tests.waiting import waiting_for

People = Callable[[int], list[Person]]

_LOCK_CHAT = text("SELECT 1 FROM chats WHERE id = :chat FOR UPDATE")


def send(sender: Person, chat_id: int, content: str, client_id: str | None = None) -> Send:
    return Send(chat_id, sender.id, sender.session_id, client_id, b"hash", "text", content, None)


def texts(reader: Person, chat_id: int) -> list[str]:
    return [message["text"] for message in reader.get(f"/chats/{chat_id}/messages")["items"]]


def test_a_chat_that_somebody_locks_for_long_fails_no_sends_to_other_chats(people: People) -> None:
    ada, bob, eve = people(3)
    held, free = ada.direct_chat(bob), eve.direct_chat(bob)

    def status(sender: Person, chat_id: int) -> int:
        return sender.call("POST", "/messages", {"chat_id": chat_id, "text": "hello"}).status_code

    with engine().connect() as other, ThreadPoolExecutor(12) as pool:
        other.execute(_LOCK_CHAT, {"chat": held})
        waiting = []
        for count in (1, 2):
            waiting.append(pool.submit(status, ada, held))
            eventually(lambda: waiting_for(other) >= count)  # noqa: B023 - runs within this round
        # Now batches form: these are sent while two sends wait at the locked chat.
        waiting += [pool.submit(status, ada, held) for _ in range(2)]
        passing = [pool.submit(status, eve, free) for _ in range(6)]

        def all_answered() -> bool:
            other.execute(text("SELECT 1"))  # PostgreSQL would end a transaction that does nothing.
            return all(future.done() for future in (*waiting, *passing))

        eventually(all_answered)
        other.rollback()
        assert [future.result() for future in passing] == [201] * 6
        assert [future.result() for future in waiting] == [503] * 4
    assert len(texts(eve, free)) == 6
    assert texts(ada, held) == []


def test_a_batch_that_one_message_makes_fail_stores_nothing_and_each_alone_gets_its_due(people: People) -> None:
    ada, bob, eve = people(3)
    passing, repeated = eve.direct_chat(bob), ada.direct_chat(eve)
    client_id = str(uuid4())
    batch = [send(eve, passing, "passes"), send(ada, repeated, "again", client_id)]
    with engine().connect() as earlier, ThreadPoolExecutor(2) as pool:
        # Another process is just storing the same client_id, so the batch cannot be stored as it is.
        earlier.execute(
            text(
                "INSERT INTO message_dedup (sender_id, client_id, message_id, body_hash)"
                " VALUES (:sender, :client_id, 1, :hash)"
            ),
            {"sender": ada.id, "client_id": client_id, "hash": b"hash"},
        )
        result = pool.submit(queries.send_batch, batch)
        eventually(lambda: waiting_for(earlier) == 1 or result.done())
        earlier.commit()
        with pytest.raises(queries.Undecided):
            result.result(20)
    assert texts(eve, passing) == []
    assert [queries.send_alone([one])[0].outcome for one in batch] == ["sent", "repeated"]
    assert texts(eve, passing) == ["passes"]


def test_strangers_neither_wait_for_a_chat_that_is_locked_nor_lock_it(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob)
    leave(group, bob)
    with engine().connect() as other:
        other.execute(_LOCK_CHAT, {"chat": group})
        for stranger in (bob, eve):
            assert stranger.call("POST", "/messages", {"chat_id": group, "text": "hello"}).status_code == 404
    assert texts(ada, group) == []


def test_who_joins_a_chat_while_the_batch_waits_for_another_one_is_a_stranger_to_it_still(people: People) -> None:
    ada, bob = people(2)
    held, joined = ada.direct_chat(bob), ada.group()
    make_public(ada, joined)
    last_seq = ada.get(f"/chats/{joined}")["last_seq"]
    batch = [send(bob, joined, "too early"), send(ada, held, "in time")]
    with engine().connect() as other, ThreadPoolExecutor(1) as pool:
        other.execute(_LOCK_CHAT, {"chat": held})
        result = pool.submit(queries.send_alone, batch)
        eventually(lambda: waiting_for(other) == 1 or result.done())
        assert join(bob, joined).status_code == 200
        other.rollback()
        assert [sent.outcome for sent in result.result(20)] == ["not_a_member", "sent"]
    # The notice of his coming, and nothing that would have been stored without the lock.
    assert ada.get(f"/chats/{joined}")["last_seq"] == last_seq + 1
    assert bob.send(joined, "now")["seq"] == last_seq + 2

"""Statuses while people join and leave: nobody takes a status back, and nothing waits for who has gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.chats import service as chats_service
from app.chats.locking import lock_chat, next_revision
from app.chats.queries import members
from app.infra.db import unit_of_work
from app.messages import statuses
from tests import factories
from tests.receipts import marks
from tests.receipts.marks import deliver, queued, read, settled, update

pytestmark = pytest.mark.usefixtures("no_jobs")


def test_who_joins_has_not_read_what_came_before() -> None:
    ada, bob, eve = factories.make_users(3)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada, ada])
    factories.run(
        "WITH m AS (INSERT INTO chat_members (chat_id, user_id) VALUES (:c, :u)) INSERT INTO user_chat_states"
        " (chat_id, user_id, counted_seq, last_read_seq) VALUES (:c, :u, 2, 2)",
        c=chat_id,
        u=eve,
    )
    factories.send_messages(chat_id, [ada])
    deliver(eve, chat_id, 3)
    update(chat_id)
    assert marks.statuses(chat_id) == ["sent", "sent", "delivered"]
    read(eve, chat_id, 3)
    update(chat_id)
    assert marks.statuses(chat_id) == ["sent", "sent", "read"]
    assert marks.receipts(chat_id) == [(3, eve)]


def admit(chat_id: int, *people: int) -> None:
    with unit_of_work() as unit:
        members.admit(unit, chat_id, people, next_revision(unit, lock_chat(unit, chat_id, ada_of(chat_id))))


def ada_of(chat_id: int) -> int:
    """Who made the chat."""
    return int(str(factories.scalar("SELECT created_by FROM chats WHERE id = :c", c=chat_id)))


def test_what_was_written_while_nobody_else_was_there_waits_for_no_reader() -> None:
    ada, bob, *others = factories.make_users(203)
    chat_id = factories.make_chat([ada])
    factories.send_messages(chat_id, [ada] * 3)
    admit(chat_id, bob)
    assert settled(chat_id) == (3, 3)
    admit(chat_id, *others)
    assert settled(chat_id) == (3, 3)
    factories.send_messages(chat_id, [ada])
    read(bob, chat_id, 4)
    update(chat_id)
    assert settled(chat_id) == (4, 4)
    assert marks.statuses(chat_id) == ["sent", "sent", "sent", "read"]
    # In a large group nobody behind the first reader causes work.
    read(others[0], chat_id, 4)
    assert queued(chat_id) == 0


@pytest.mark.parametrize(("move", "status"), [(read, "read"), (deliver, "delivered")])
def test_who_comes_takes_no_status_from_what_reached_another_just_before_leaving(
    move: Callable[[int, int, int], None], status: str
) -> None:
    ada, bob, eve = factories.make_users(3)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada, ada])
    move(bob, chat_id, 2)
    with unit_of_work() as unit:
        members.remove(unit, chat_id, bob, next_revision(unit, lock_chat(unit, chat_id, ada)), is_banned=False)
    admit(chat_id, eve)
    update(chat_id)
    assert marks.statuses(chat_id) == [status, status]


def go(chat_id: int, *people: int) -> None:
    """Leaving as people do it, with what it tells the chat."""
    for user_id in people:
        with unit_of_work() as unit:
            chats_service.leave(unit, user_id, chat_id)


def group_of(owner: int, *others: int) -> int:
    chat_id = factories.make_chat([owner, *others])
    factories.run("UPDATE chat_members SET role = 'owner' WHERE chat_id = :c AND user_id = :u", c=chat_id, u=owner)
    return chat_id


def test_what_nobody_is_left_to_read_waits_for_nobody() -> None:
    ada, bob, eve, dan = factories.make_users(4)
    chat_id = group_of(ada, bob, eve)
    factories.send_messages(chat_id, [ada, ada])
    admit(chat_id, dan)
    go(chat_id, bob)
    update(chat_id)
    assert settled(chat_id) == (0, 0), "while eve may still read it"
    go(chat_id, eve)
    update(chat_id)
    # Not the two notices, by those who have gone: dan may still read these.
    assert settled(chat_id) == (2, 2)
    factories.send_messages(chat_id, [ada])
    read(dan, chat_id, 5)
    update(chat_id)
    assert marks.statuses(chat_id) == ["sent", "sent", "read", "read", "read"]
    assert settled(chat_id) == (5, 5)


def test_what_only_another_than_its_sender_may_still_read_waits_for_that_one() -> None:
    ada, bob, eve = factories.make_users(3)
    chat_id = group_of(ada, bob)
    factories.send_messages(chat_id, [ada, bob, ada])
    admit(chat_id, eve)
    go(chat_id, bob)
    update(chat_id)
    # The second was bob's, which ada has not read.
    assert settled(chat_id) == (1, 1)
    read(ada, chat_id, 2)
    update(chat_id)
    assert marks.statuses(chat_id) == ["sent", "read", "sent", "sent"]


@pytest.mark.parametrize("is_late", [False, True], ids=["queued together", "told before"])
def test_what_somebody_read_just_before_leaving_is_still_written_down(is_late: bool) -> None:
    ada, bob, eve = factories.make_users(3)
    chat_id = group_of(ada, bob)
    factories.send_messages(chat_id, [ada] * 4)
    admit(chat_id, eve)
    deliver(bob, chat_id, 3)
    read(bob, chat_id, 1)
    if is_late:
        update(chat_id)
    go(chat_id, bob)
    update(chat_id)
    assert marks.statuses(chat_id) == ["read", "delivered", "delivered", "sent", "sent"]
    assert settled(chat_id) == (4, 4)
    assert queued(chat_id) == 0


def test_marks_that_wait_in_the_queue_are_not_passed_by_who_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "_MOST_MOVES", 1)
    ada, bob, eve, *others = factories.make_users(205)
    chat_id = group_of(ada, bob, eve, *others)
    factories.send_messages(chat_id, [ada, ada])
    factories.run(
        "UPDATE user_chat_states SET last_read_seq = 2 WHERE chat_id = :c AND user_id <> :b", c=chat_id, b=bob
    )
    factories.run("UPDATE user_chat_states SET last_read_seq = 0 WHERE chat_id = :c AND user_id = :e", c=chat_id, e=eve)
    go(chat_id, bob)
    read(eve, chat_id, 2)
    update(chat_id)
    assert marks.statuses(chat_id)[:2] == ["read", "read"]

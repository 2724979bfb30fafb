"""What keeping statuses costs: statements, not by chat, and in large groups for the first readers only."""

from __future__ import annotations

import pytest

from app.messages import statuses
from tests import factories
from tests.counting import counted_statements
from tests.receipts import marks
from tests.receipts.marks import assert_as_the_marks_say, deliver, queued, read, revisions, settled, update

pytestmark = pytest.mark.usefixtures("no_jobs")


def test_many_small_chats_share_statements() -> None:
    ada, bob = factories.make_users(2)
    taken = []
    for count in (1, 20):
        chats = [factories.make_chat([ada, bob], "direct") for _ in range(count)]
        for chat_id in chats:
            factories.send_messages(chat_id, [ada, ada])
            read(bob, chat_id, 2)
        with counted_statements() as statements:
            update(*chats)
        taken.append(len(statements))
        assert_as_the_marks_say(*chats)
    assert taken[0] == taken[1] == 7


def test_a_group_of_ten_thousand_costs_work_for_the_first_who_read_only() -> None:
    people = factories.make_users(10_000)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [people[0]] * 3)
    for user in people[1:4]:
        deliver(user, chat_id, 3)
        read(user, chat_id, 3)
    assert queued(chat_id) == 6, "nobody was first yet for the workers"
    with counted_statements() as statements:
        update(chat_id)
    assert len(statements) <= 8
    assert marks.statuses(chat_id) == ["read"] * 3
    assert settled(chat_id) == (3, 3)
    assert marks.receipts(chat_id) == []
    before = revisions(chat_id)
    for user in people[4:40]:
        deliver(user, chat_id, 3)
        read(user, chat_id, 3)
    assert queued(chat_id) == 0, "whoever comes later changes nothing"
    with counted_statements() as statements:
        deliver(people[50], chat_id, 3)
    assert [statement.split()[1] for statement in statements if statement.startswith("EXECUTE")] == ["mark_delivered"]
    assert revisions(chat_id) == before


def test_what_waited_for_long_in_a_large_group_is_looked_at_for_the_first_readers_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statuses, "_MOST_MOVES", 5)
    people = factories.make_users(201)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [people[0]] * 400)
    for user in people[1:31]:
        read(user, chat_id, 400)
    assert queued(chat_id) == 30
    with counted_statements() as statements:
        update(chat_id)
    assert [statement.split()[1] for statement in statements].count("status_due") == 5
    assert marks.statuses(chat_id) == ["read"] * 400
    assert queued(chat_id) == 0

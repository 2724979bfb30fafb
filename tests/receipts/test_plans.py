"""What marks and statuses cost does not grow with what is stored."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.chats.queries import deliveries, marks
from app.infra.db import unit_of_work
from app.messages import receipt_queries, status_queries
from tests import factories
from tests.plans import touched

pytestmark = pytest.mark.usefixtures("no_jobs")

HUGE = 20_000
_FILL = text(f"""
    WITH made AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, text, revision, status)
      SELECT {factories.NEWEST_ID} + n, :chat, n, :sender, 'hello', 1, CASE WHEN n <= :read THEN 'read' ELSE 'sent' END
      FROM generate_series(1, :count) n RETURNING id)
    UPDATE chats SET last_seq = :count, last_message_id = (SELECT max(id) FROM made), read_seq = :read,
      delivered_seq = :read WHERE id = :chat""")


@pytest.fixture
def crowded() -> tuple[list[int], int]:
    """The members of a chat with 20,000 messages, all but the last ten read, and the chat."""
    people = factories.make_users(3)
    chat_id = factories.make_chat(people)
    with unit_of_work() as unit:
        unit.execute(_FILL, {"chat": chat_id, "sender": people[0], "count": HUGE, "read": HUGE - 10})
        unit.execute(text("ANALYZE messages"))
    return people, chat_id


def test_marks_and_statuses_touch_only_the_rows_that_they_are_about(crowded: tuple[list[int], int]) -> None:
    (ada, bob, _), chat_id = crowded
    newest = int(str(factories.scalar("SELECT last_message_id FROM chats WHERE id = :c", c=chat_id)))
    after, now = HUGE - 10, datetime.now(UTC)
    with unit_of_work() as unit:
        piece = ([chat_id], [bob], [after], [HUGE])
        due = ([chat_id], [bob], [True], [after], [HUGE])
        ids = list(status_queries.due(unit, [status_queries.Piece(chat_id, bob, True, after, HUGE, now, True)]))
        assert len(ids) == 10
        measured = {
            "deliver": touched(unit, deliveries._MARK_DELIVERED, bob, chat_id, newest),
            "authors": touched(unit, marks._AUTHORS, chat_id, bob, after, HUGE, 0),
            "take": touched(unit, status_queries._TAKE, [chat_id], 500),
            "receipts": touched(unit, status_queries._KEEP_RECEIPTS, *piece, [now]),
            "due": touched(unit, status_queries._DUE, *due),
            "change": touched(unit, status_queries._CHANGE, ids, ids),
            "settle": touched(unit, status_queries._SETTLE, [chat_id]),
            "settle departed": max(touched(unit, each, [chat_id]) for each in status_queries._SETTLE_DEPARTED),
            "subject": touched(unit, receipt_queries._SUBJECT, ada, newest),
            "readers": touched(unit, receipt_queries._READERS, ada, newest, None, None, 51),
        }
    assert {name: rows for name, rows in measured.items() if rows > 100} == {}


def test_an_author_far_back_is_looked_for_among_the_last_thousand_only(crowded: tuple[list[int], int]) -> None:
    people, chat_id = crowded
    factories.run("UPDATE messages SET sender_id = :u WHERE chat_id = :c AND seq <= 19000", u=people[2], c=chat_id)
    newest = int(str(factories.scalar("SELECT last_message_id FROM chats WHERE id = :c", c=chat_id)))
    with unit_of_work() as unit:
        assert marks.authors(unit, chat_id, people[1], 0, HUGE, newest) == [people[0]]
        assert marks.authors(unit, chat_id, people[1], 0, HUGE - 500, newest) == [people[0], people[2]]

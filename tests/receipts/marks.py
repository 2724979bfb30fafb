"""Moving marks as people do, and what the database must then hold, counted as plainly as can be."""

from __future__ import annotations

from typing import Any

from sqlalchemy import TextClause, text

from app.chats import service as chats
from app.infra.db import reading, unit_of_work
from app.messages.statuses import update_all
from tests import factories

_STATUSES = text("SELECT seq, status FROM messages WHERE chat_id = :chat ORDER BY seq")

_REVISIONS = text("SELECT revision FROM messages WHERE chat_id = :chat ORDER BY seq")

_EXPECTED = text("""
    SELECT x.seq, CASE
      WHEN EXISTS (SELECT FROM user_chat_states s WHERE s.chat_id = x.chat_id AND s.last_read_seq >= x.seq
                   AND s.user_id IS DISTINCT FROM x.sender_id) THEN 'read'
      WHEN EXISTS (SELECT FROM user_chat_states s WHERE s.chat_id = x.chat_id AND s.last_delivered_seq >= x.seq
                   AND s.user_id IS DISTINCT FROM x.sender_id) THEN 'delivered'
      ELSE 'sent' END AS status
    FROM messages x WHERE x.chat_id = :chat ORDER BY x.seq""")

_RECEIPTS = text("""
    SELECT x.seq, r.user_id FROM messages x JOIN message_read_receipts r ON r.message_id = x.id
    WHERE x.chat_id = :chat ORDER BY 1, 2""")

_EXPECTED_RECEIPTS = text("""
    SELECT x.seq, s.user_id FROM messages x JOIN user_chat_states s ON s.chat_id = x.chat_id
    WHERE x.chat_id = :chat AND s.last_read_seq >= x.seq AND s.user_id IS DISTINCT FROM x.sender_id
      AND x.message_type <> 'service'
    ORDER BY 1, 2""")

_MARKS = text(
    "SELECT last_delivered_seq, last_read_seq FROM user_chat_states WHERE chat_id = :chat AND user_id = :user"
)

_SETTLED = text("SELECT delivered_seq, read_seq FROM chats WHERE id = :chat")
_QUEUED = text("SELECT count(*) FROM receipt_queue WHERE chat_id = :chat")


def message_id(chat_id: int, seq: int) -> int:
    """The id of a chat's message."""
    found = factories.scalar("SELECT id FROM messages WHERE chat_id = :c AND seq = :s", c=chat_id, s=seq)
    assert isinstance(found, int)
    return found


def deliver(user_id: int, chat_id: int, seq: int) -> None:
    """Everything up to a message arrives at a member."""
    up_to = message_id(chat_id, seq)
    with unit_of_work() as unit:
        chats.mark_delivered(unit, user_id, chat_id, up_to)


def read(user_id: int, chat_id: int, seq: int) -> None:
    """A member reads up to a message."""
    up_to = message_id(chat_id, seq)
    with unit_of_work() as unit:
        chats.mark_read(unit, user_id, chat_id, up_to)


def _rows(statement: TextClause, **parameters: int) -> list[Any]:
    with reading() as unit:
        return list(unit.execute(statement, parameters))


def marks(user_id: int, chat_id: int) -> tuple[int, int]:
    """How far a chat has arrived at a member, and was read, as seqs."""
    ((delivered_seq, read_seq),) = _rows(_MARKS, chat=chat_id, user=user_id)
    return delivered_seq, read_seq


def statuses(chat_id: int) -> list[str]:
    """The status of each of a chat's messages, in the order of seq."""
    return [row.status for row in _rows(_STATUSES, chat=chat_id)]


def expected_statuses(chat_id: int) -> list[str]:
    """What the members' marks say that these should be."""
    return [row.status for row in _rows(_EXPECTED, chat=chat_id)]


def receipts(chat_id: int) -> list[tuple[int, int]]:
    """Who has a receipt for which message: (seq, user id)."""
    return [tuple(row) for row in _rows(_RECEIPTS, chat=chat_id)]


def expected_receipts(chat_id: int) -> list[tuple[int, int]]:
    """What the members' read marks say that these should be."""
    return [tuple(row) for row in _rows(_EXPECTED_RECEIPTS, chat=chat_id)]


def settled(chat_id: int) -> tuple[int, int]:
    """Up to which seq the chat knows all to be delivered, and read."""
    ((delivered_seq, read_seq),) = _rows(_SETTLED, chat=chat_id)
    return delivered_seq, read_seq


def queued(chat_id: int) -> int:
    """How many moves of marks wait for a worker."""
    ((count,),) = _rows(_QUEUED, chat=chat_id)
    return int(count)


def revisions(chat_id: int) -> tuple[int, list[int]]:
    """The chat's revision, and those of its messages by seq."""
    chat = int(str(factories.scalar("SELECT revision FROM chats WHERE id = :c", c=chat_id)))
    return chat, [row.revision for row in _rows(_REVISIONS, chat=chat_id)]


def update(*chat_ids: int) -> None:
    """Has the moves that wait in the queue of these chats written down."""
    assert update_all(chat_ids, 60)


def assert_as_the_marks_say(*chat_ids: int) -> None:
    """Statuses and receipts are what the members' marks make them, and nothing waits."""
    for chat_id in chat_ids:
        assert statuses(chat_id) == expected_statuses(chat_id)
        assert receipts(chat_id) == expected_receipts(chat_id)
        assert queued(chat_id) == 0

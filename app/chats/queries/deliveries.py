"""How far messages have arrived at members."""

from __future__ import annotations

from typing import NamedTuple

from app.chats.queries.marks import queueing
from app.infra.db import Prepared, UnitOfWork


class Delivery(NamedTuple):
    """What became of a sign that messages have arrived; `after_seq` is None where the mark did not move."""

    seq: int
    chat_type: str
    member_count: int
    after_seq: int | None
    is_queued: bool


# One statement, and it needs no lock before it: of two at once the UPDATE looks again at the row that the other left.
# `after_seq` may then be older than that, which only means that some messages are looked at twice.
_MARK_DELIVERED = Prepared(
    "mark_delivered",
    ("bigint", "bigint", "bigint"),
    f"""
    WITH place AS MATERIALIZED (
      SELECT c.type, c.member_count, x.seq, GREATEST(s.last_delivered_seq, s.last_read_seq) AS after_seq
      FROM chat_members m
      JOIN chats c ON c.id = m.chat_id
      JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
      CROSS JOIN LATERAL (SELECT seq FROM messages WHERE id = $3 AND chat_id = m.chat_id OFFSET 0) x
      WHERE m.chat_id = $2 AND m.user_id = $1 AND m.left_at IS NULL
    ), moved AS (
      UPDATE user_chat_states s SET last_delivered_seq = p.seq
      FROM place p
      WHERE s.user_id = $1 AND s.chat_id = $2 AND GREATEST(s.last_delivered_seq, s.last_read_seq) < p.seq
        AND p.type <> 'channel'
      RETURNING p.after_seq, p.seq
    ), queued AS ({queueing("$1", "$2", is_read=False, after_seq="moved.after_seq", up_to_seq="moved.seq")})
    SELECT p.seq, p.type, p.member_count, (SELECT after_seq FROM moved), EXISTS (SELECT FROM queued) FROM place p""",
)


def mark_delivered(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int) -> Delivery | None:
    """Moves a member's mark of what has arrived forward; None where the message or the membership is not there.

    Channels keep no such marks.
    """
    row = _MARK_DELIVERED.row(unit.connection, user_id, chat_id, message_id)
    return None if row is None else Delivery(*row)

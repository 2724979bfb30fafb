"""How far members have read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from app.chats.queries.blocks import blocks_peer
from app.chats.queries.marks import queueing
from app.chats.unread import UNREAD, is_held
from app.infra.db import Prepared, UnitOfWork


class ReadTarget(NamedTuple):
    """A message to read up to, and what is needed to tell others."""

    seq: int
    message_id: int
    chat_type: str
    member_count: int
    members_revision: int
    blocks_author: bool


_READ_TARGET = Prepared(
    "read_target",
    ("bigint", "bigint", "bigint"),
    f"""
    SELECT CASE WHEN $3 IS NULL THEN c.last_seq ELSE x.seq END,
           CASE WHEN $3 IS NULL THEN c.last_message_id ELSE x.id END,
           c.type, c.member_count, c.members_revision, {blocks_peer("c", "$1")}
    FROM chat_members m JOIN chats c ON c.id = m.chat_id
    LEFT JOIN LATERAL (SELECT id, seq FROM messages WHERE id = $3 AND chat_id = m.chat_id OFFSET 0) x ON true
    WHERE m.chat_id = $2 AND m.user_id = $1 AND m.left_at IS NULL AND ($3 IS NULL OR x.id IS NOT NULL)""",
)

# Waiting for the lock inside the UPDATE itself would leave it with a snapshot from before, in which a message that was
# deleted (and taken out of the count) meanwhile would still be there to be subtracted again.
_LOCK_STATE = Prepared(
    "lock_state",
    ("bigint", "bigint"),
    "SELECT last_read_seq FROM user_chat_states WHERE user_id = $1 AND chat_id = $2 FOR NO KEY UPDATE",
)

# Who has left while the state was held by others neither moves the mark nor learns how many messages came since.
_IS_MEMBER = """
  EXISTS (SELECT FROM chat_members m WHERE m.chat_id = $2 AND m.user_id = $1 AND m.left_at IS NULL)"""

# Nothing that is counted is left behind a mark at its end. For a mark in the middle the shorter side is counted, so
# that a step from either end costs what lies in that step.
_HELD = f"SELECT count(*) FROM messages n WHERE n.chat_id = s.chat_id AND {is_held('n', 's.user_id')} AND"
_MARK_READ = Prepared(
    "mark_read",
    ("bigint", "bigint", "bigint", "bigint", "bigint"),
    f"""
    WITH moved AS (
      UPDATE user_chat_states s SET
        unread_count = CASE
          WHEN $3 >= s.counted_seq THEN 0
          WHEN $3 - s.last_read_seq <= s.counted_seq - $3
            THEN s.unread_count - ({_HELD} n.seq > s.last_read_seq AND n.seq <= $3)
          ELSE ({_HELD} n.seq > $3 AND n.seq <= s.counted_seq) END,
        counted_seq = GREATEST(s.counted_seq, $3),
        last_read_seq = $3,
        last_read_message_id = $4,
        last_delivered_seq = GREATEST(s.last_delivered_seq, $3),
        revision = next_message_id(GREATEST(s.revision, (SELECT revision FROM chats WHERE id = $2)))
      WHERE s.user_id = $1 AND s.chat_id = $2 AND s.last_read_seq < $3 AND {_IS_MEMBER}
      RETURNING now() AS moved_at
    ), queued AS ({queueing("$1", "$2", is_read=True, after_seq="$5", up_to_seq="$3")})
    SELECT moved_at, EXISTS (SELECT FROM queued) FROM moved""",
)

_READ_STATE = Prepared(
    "read_state",
    ("bigint", "bigint"),
    f"""
    SELECT NULLIF(s.last_read_message_id, 0), s.last_read_seq, ({UNREAD})::bigint, s.revision
    FROM user_chat_states s JOIN chats c ON c.id = s.chat_id
    WHERE s.user_id = $1 AND s.chat_id = $2 AND {_IS_MEMBER}""",
)


def read_target(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int | None) -> ReadTarget | None:
    """The message to read up to (the last one for None); None where it or the membership is not there."""
    row = _READ_TARGET.row(unit.connection, user_id, chat_id, message_id)
    return None if row is None else ReadTarget(*row)


class Reading(NamedTuple):
    """A read mark that moved: from where, when (UTC), and whether a worker has to see to it."""

    after_seq: int
    moved_at: datetime
    is_queued: bool


def mark_read(unit: UnitOfWork, user_id: int, chat_id: int, target: ReadTarget) -> Reading | None:
    """Moves a member's read mark forward, and the mark of what has arrived with it; None where it was there already."""
    held = _LOCK_STATE.row(unit.connection, user_id, chat_id)
    after_seq = None if held is None else held[0]
    row = _MARK_READ.row(unit.connection, user_id, chat_id, target.seq, target.message_id, after_seq)
    return None if row is None or after_seq is None else Reading(after_seq, *row)


def read_state(unit: UnitOfWork, user_id: int, chat_id: int) -> tuple[int | None, int, int, int] | None:
    """The last message read, its seq, the number of unread ones, and the state's revision; None for non-members."""
    row = _READ_STATE.row(unit.connection, user_id, chat_id)
    return None if row is None else (row[0], row[1], row[2], row[3])

"""Every SQL statement that reads receipts."""

from __future__ import annotations

from typing import Any, NamedTuple

from app.auth.profile import ProfileRow, profile_columns
from app.chats.hides import is_hidden
from app.infra.db import Prepared, UnitOfWork


class Subject(NamedTuple):
    """A message whose readers are asked for, as the viewer stands to it."""

    sender_id: int | None
    role: str
    chat_type: str
    member_count: int


class Reader(NamedTuple):
    """Who has read, when (UTC), and the same in microseconds for cursors."""

    profile: ProfileRow
    read_at: Any
    read_at_us: int


_SUBJECT = Prepared(
    "receipts_subject",
    ("bigint", "bigint"),
    f"""
    SELECT x.sender_id, m.role, c.type, c.member_count
    FROM messages x
    CROSS JOIN LATERAL (
      SELECT role, history_from_seq FROM chat_members
      WHERE chat_id = x.chat_id AND user_id = $1 AND left_at IS NULL OFFSET 0) m
    CROSS JOIN LATERAL (
      SELECT cleared_seq FROM user_chat_states WHERE user_id = $1 AND chat_id = x.chat_id OFFSET 0) s
    CROSS JOIN LATERAL (SELECT type, member_count FROM chats WHERE id = x.chat_id OFFSET 0) c
    WHERE x.id = $2 AND x.deleted_at IS NULL AND NOT {is_hidden("x", "$1")}
      AND x.seq > GREATEST(s.cleared_seq, m.history_from_seq)""",
)

_READERS = Prepared(
    "receipts_readers",
    ("bigint", "bigint", "bigint", "bigint", "integer"),
    f"""
    SELECT {profile_columns("u", "$1")}, r.read_at, r.read_at_us
    FROM (
      SELECT user_id, read_at, (extract(epoch FROM read_at) * 1000000)::bigint AS read_at_us
      FROM message_read_receipts WHERE message_id = $2 OFFSET 0) r
    JOIN users u ON u.id = r.user_id
    WHERE $3 IS NULL OR (r.read_at_us, r.user_id) < ($3, $4)
    ORDER BY r.read_at_us DESC, r.user_id DESC
    LIMIT $5""",
)


def subject(unit: UnitOfWork, viewer_id: int, message_id: int) -> Subject | None:
    """A message that the viewer can see; None for all others."""
    row = _SUBJECT.row(unit.connection, viewer_id, message_id)
    return None if row is None else Subject(*row)


def readers(
    unit: UnitOfWork, viewer_id: int, message_id: int, after: tuple[int, int] | None, limit: int
) -> list[Reader]:
    """Who has read a message, the latest first, past a time in microseconds and a user id."""
    read_at_us, user_id = after or (None, None)
    rows = _READERS.rows(unit.connection, viewer_id, message_id, read_at_us, user_id, limit)
    return [Reader(ProfileRow._make(row[:-2]), *row[-2:]) for row in rows]

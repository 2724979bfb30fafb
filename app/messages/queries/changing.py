"""SQL of one message: finding it for somebody, editing it, deleting it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text

from app.chats.hides import is_hidden
from app.chats.message import COLUMN_COUNT, columns
from app.infra.db import Prepared, UnitOfWork
from app.messages.queries.reading import Row


class Found(NamedTuple):
    """A message in a chat that the person is in, and what decides what the person may do with it."""

    row: Row
    chat_type: str
    is_hidden: bool
    """Whether the person has deleted it for oneself, alone or with the history."""
    age_seconds: float
    is_blocked: bool
    """Whether the other side of a direct chat has blocked the person."""


# Each look-up is by key: LIMIT 1 keeps the planner from joining whole tables.
_FIND = Prepared(
    "message_find",
    ("bigint", "bigint"),
    f"""
    SELECT {columns("x")}, c.type, x.seq <= s.cleared_seq OR {is_hidden("x", "$2")},
      extract(epoch FROM now() - x.created_at)::double precision, coalesce(b.blocked, false)
    FROM messages x
    CROSS JOIN LATERAL (
      SELECT history_from_seq FROM chat_members
      WHERE chat_id = x.chat_id AND user_id = $2 AND left_at IS NULL LIMIT 1) m
    CROSS JOIN LATERAL (SELECT type FROM chats WHERE id = x.chat_id LIMIT 1) c
    CROSS JOIN LATERAL (
      SELECT cleared_seq FROM user_chat_states WHERE user_id = $2 AND chat_id = x.chat_id LIMIT 1) s
    LEFT JOIN LATERAL (
      SELECT true AS blocked FROM chat_members o JOIN blocks k ON k.user_id = o.user_id AND k.blocked_id = $2
      WHERE c.type = 'direct' AND o.chat_id = x.chat_id AND o.user_id <> $2 LIMIT 1) b ON true
    WHERE x.id = $1 AND x.seq > m.history_from_seq""",
)

# The chat's row is locked, so nobody else draws revisions in it.
_EDIT = text(f"""
    UPDATE messages x SET text = :text, edited_at = clock_timestamp(), revision = :revision
    WHERE x.id = :message_id
    RETURNING {columns("x")}""")

# `seq > 0` always holds, and makes the index usable. A group says by `cleared_seq` what its members have cleared; who
# has deleted a direct chat holds nothing that could say so.
_HIDDEN_FROM = text("""
    SELECT user_id FROM message_hides WHERE chat_id = :chat_id AND seq = :seq AND seq > 0
    UNION ALL
    SELECT s.user_id FROM chat_members m
    CROSS JOIN LATERAL (
      SELECT user_id, cleared_seq FROM user_chat_states
      WHERE user_id = m.user_id AND chat_id = m.chat_id OFFSET 0) s
    WHERE (SELECT type = 'direct' FROM chats WHERE id = :chat_id) AND m.chat_id = :chat_id AND s.cleared_seq >= :seq""")

# The type stays: what never counted as unread must not begin to.
_DELETE_FOR_EVERYONE = text("""
    UPDATE messages SET deleted_at = clock_timestamp(), revision = :revision, text = NULL, file_id = NULL,
      reply_to_id = NULL, forwarded_from_user_id = NULL, service = NULL
    WHERE id = :message_id AND deleted_at IS NULL""")

# Before the statement that looks at the message: what was deleted for everyone, and counted, before is then seen.
_HOLD_STATE = text("SELECT 1 FROM user_chat_states WHERE user_id = :user_id AND chat_id = :chat_id FOR NO KEY UPDATE")

# Past the chat's revision and so past that of all its messages; for nobody else anything changes. The state is changed
# once only: for a row that it has changed itself a transaction also locks the chat, which who deletes for all holds.
_DELETE_FOR_ONE = text("""
    WITH found AS MATERIALIZED (
      SELECT m.user_id, x.chat_id, x.id, x.seq, next_message_id(GREATEST(s.revision, c.revision)) AS revision,
        x.seq > s.last_read_seq AND x.message_type <> 'service' AND x.sender_id IS DISTINCT FROM m.user_id AS is_unread
      FROM messages x
      CROSS JOIN LATERAL (
        SELECT user_id FROM chat_members
        WHERE chat_id = x.chat_id AND user_id = :user_id AND left_at IS NULL LIMIT 1) m
      CROSS JOIN LATERAL (SELECT revision FROM chats WHERE id = x.chat_id LIMIT 1) c
      CROSS JOIN LATERAL (
        SELECT revision, last_read_seq, cleared_seq FROM user_chat_states
        WHERE user_id = :user_id AND chat_id = x.chat_id LIMIT 1) s
      WHERE x.id = :message_id AND x.deleted_at IS NULL AND x.seq > s.cleared_seq
    ), hidden AS (
      INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision)
      SELECT user_id, chat_id, id, seq, revision FROM found ON CONFLICT DO NOTHING RETURNING message_id)
    UPDATE user_chat_states s SET revision = f.revision,
      unread_count = s.unread_count - CASE WHEN f.is_unread AND f.seq <= s.counted_seq THEN 1 ELSE 0 END
    FROM found f JOIN hidden h ON h.message_id = f.id
    WHERE s.user_id = :user_id AND s.chat_id = :chat_id
    RETURNING s.revision, f.is_unread""")


def find(unit: UnitOfWork, user_id: int, message_id: int) -> Found | None:
    """A message, deleted ones too; None where the person is not in its chat, or was not when it was sent."""
    row = _FIND.row(unit.connection, message_id, user_id)
    return None if row is None else Found(row[:COLUMN_COUNT], *row[COLUMN_COUNT:])


def edit(unit: UnitOfWork, message_id: int, new_text: str, revision: int) -> Row:
    """Replaces the text of a message in a locked chat, which is not deleted."""
    return tuple(unit.execute(_EDIT, {"message_id": message_id, "text": new_text, "revision": revision}).one())


def hidden_from(unit: UnitOfWork, chat_id: int, seq: int) -> list[int]:
    """Who has deleted a chat's message for oneself, in a direct chat also with all the history."""
    return list(unit.execute(_HIDDEN_FROM, {"chat_id": chat_id, "seq": seq}).scalars())


def delete_for_everyone(unit: UnitOfWork, message_id: int, revision: int) -> bool:
    """Leaves only a tombstone of a message in a locked chat; False where there was only one already."""
    return unit.execute(_DELETE_FOR_EVERYONE, {"message_id": message_id, "revision": revision}).rowcount == 1


class Hidden(NamedTuple):
    """The revision of the person's state in the chat, and whether the message was one of those not read."""

    revision: int
    was_unread: bool


def delete_for_one(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int) -> Hidden | None:
    """Hides a message of a chat from one person and takes it out of that one's unread count.

    None where the message was hidden, deleted or cleared already, or the person has left.
    """
    parameters = {"user_id": user_id, "chat_id": chat_id, "message_id": message_id}
    unit.execute(_HOLD_STATE, parameters)
    row = unit.execute(_DELETE_FOR_ONE, parameters).one_or_none()
    return None if row is None else Hidden._make(row)

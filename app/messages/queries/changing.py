"""SQL of one message: finding it for somebody, editing it, deleting it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text

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
    SELECT {columns("x")}, c.type, x.seq <= s.cleared_seq OR coalesce($2 = ANY (x.deleted_for_users), false),
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
    WHERE x.id = :message_id AND x.deleted_at IS NULL
    RETURNING {columns("x")}""")

# The type stays: what never counted as unread must not begin to.
_DELETE_FOR_EVERYONE = text("""
    UPDATE messages SET deleted_at = clock_timestamp(), revision = :revision, text = NULL, file_id = NULL,
      reply_to_id = NULL, forwarded_from_user_id = NULL, service = NULL
    WHERE id = :message_id AND deleted_at IS NULL""")

_DELETE_FOR_ONE = text("""
    UPDATE messages SET deleted_for_users = array_append(deleted_for_users, :user_id), revision = :revision
    WHERE id = :message_id AND deleted_at IS NULL AND NOT coalesce(:user_id = ANY (deleted_for_users), false)""")


def find(unit: UnitOfWork, user_id: int, message_id: int) -> Found | None:
    """A message, deleted ones too; None where the person is not in its chat, or was not when it was sent."""
    row = _FIND.row(unit.connection, message_id, user_id)
    return None if row is None else Found(row[:COLUMN_COUNT], *row[COLUMN_COUNT:])


def edit(unit: UnitOfWork, message_id: int, new_text: str, revision: int) -> Row | None:
    """Replaces the text of a message in a locked chat; None where the message is deleted."""
    row = unit.execute(_EDIT, {"message_id": message_id, "text": new_text, "revision": revision}).one_or_none()
    return None if row is None else tuple(row)


def delete_for_everyone(unit: UnitOfWork, message_id: int, revision: int) -> bool:
    """Leaves only a tombstone of a message in a locked chat; False where there was only one already."""
    return unit.execute(_DELETE_FOR_EVERYONE, {"message_id": message_id, "revision": revision}).rowcount == 1


def delete_for_one(unit: UnitOfWork, message_id: int, user_id: int, revision: int) -> bool:
    """Hides a message of a locked chat from one person; False where it was hidden or deleted already."""
    parameters = {"message_id": message_id, "user_id": user_id, "revision": revision}
    return unit.execute(_DELETE_FOR_ONE, parameters).rowcount == 1

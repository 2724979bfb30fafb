"""SQL under the lock of a chat's row."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from sqlalchemy import text

from app.chats.message import COLUMN_COUNT, columns
from app.infra.db import UnitOfWork

# Strangers do not get the lock, nor wait for it: they would hold up the chat, and learn that there is one. Who is in it
# is asked again afterwards.
_LOCK = text("""
    SELECT c.id, c.type, c.last_seq, c.member_count, c.members_revision FROM chats c
    WHERE c.id = :chat_id AND (:may_join AND c.username IS NOT NULL OR EXISTS (
      SELECT FROM chat_members m WHERE m.chat_id = c.id AND m.user_id = :user_id AND m.left_at IS NULL))
    FOR UPDATE OF c""")

_HOLD = text("SELECT id, type, last_seq, member_count, members_revision FROM chats WHERE id = :chat_id FOR UPDATE")

# A statement of its own, in a snapshot taken after the lock was had.
_ROLE = text("SELECT role FROM chat_members WHERE chat_id = :chat_id AND user_id = :user_id AND left_at IS NULL")

# A deleted chat has no username.
_STANDING = text("""
    SELECT CASE WHEN m.left_at IS NULL THEN m.role END, c.username IS NOT NULL,
      coalesce(m.banned_until > now(), false)
    FROM chats c LEFT JOIN chat_members m ON m.chat_id = c.id AND m.user_id = :user_id
    WHERE c.id = :chat_id""")

_STAMP = text("""
    UPDATE chats SET revision = r.revision, updated_at = now(),
      members_revision = CASE WHEN :members_changed THEN r.revision ELSE members_revision END
    FROM (SELECT next_message_id(GREATEST(revision, last_message_id, :after)) AS revision
          FROM chats WHERE id = :chat_id OFFSET 0) r
    WHERE id = :chat_id RETURNING chats.revision""")

_NOTICE = text(f"""
    WITH posted AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, message_type, service, revision)
      SELECT n.id, n.chat_id, n.seq, :actor_id, 'service', CAST(:service AS jsonb), n.id
      FROM (SELECT id AS chat_id, last_seq + 1 AS seq, next_message_id(GREATEST(revision, last_message_id)) AS id
            FROM chats WHERE id = :chat_id OFFSET 0) n
      RETURNING *
    ), touched AS (
      UPDATE chats SET last_seq = p.seq, last_message_id = p.id, revision = p.id
      FROM posted p WHERE chats.id = :chat_id RETURNING members_revision)
    SELECT {columns("p")}, t.members_revision FROM posted p CROSS JOIN touched t""")


def lock(unit: UnitOfWork, chat_id: int, user_id: int, may_join: bool = False) -> tuple[Any, ...] | None:
    """Locks the chat's row until the transaction ends: id, type, last_seq, member_count, members_revision.

    None for who is not in the chat; with `may_join`, for who is not in it and may not join because it is private.
    """
    parameters = {"chat_id": chat_id, "user_id": user_id, "may_join": may_join}
    row = unit.execute(_LOCK, parameters).one_or_none()
    return None if row is None else tuple(row)


def hold(unit: UnitOfWork, chat_id: int) -> tuple[Any, ...] | None:
    """The same for whoever asks for no permission."""
    row = unit.execute(_HOLD, {"chat_id": chat_id}).one_or_none()
    return None if row is None else tuple(row)


def role(unit: UnitOfWork, chat_id: int, user_id: int) -> str | None:
    """The role of a present member."""
    found: str | None = unit.execute(_ROLE, {"chat_id": chat_id, "user_id": user_id}).scalar_one_or_none()
    return found


class Standing(NamedTuple):
    """How somebody stands to a chat: the role (None for who is not in it), whether all may join, or not that one."""

    role: str | None
    is_public: bool
    is_banned: bool


def standing(unit: UnitOfWork, chat_id: int, user_id: int) -> Standing | None:
    """How somebody stands to a chat; None where there is none."""
    row = unit.execute(_STANDING, {"chat_id": chat_id, "user_id": user_id}).one_or_none()
    return None if row is None else Standing._make(row)


def stamp(unit: UnitOfWork, chat_id: int, members_changed: bool, after: int) -> int:
    """A new revision of the chat past `after`, and of its membership if that changed."""
    parameters = {"chat_id": chat_id, "members_changed": members_changed, "after": after}
    revision: int = unit.execute(_STAMP, parameters).scalar_one()
    return revision


def insert_notice(
    unit: UnitOfWork, chat_id: int, actor_id: int, service: dict[str, Any]
) -> tuple[tuple[Any, ...], int]:
    """Stores a service message as the chat's next one: its row, and the chat's members_revision."""
    parameters = {"chat_id": chat_id, "actor_id": actor_id, "service": orjson.dumps(service).decode()}
    row = tuple(unit.execute(_NOTICE, parameters).one())
    return row[:COLUMN_COUNT], row[COLUMN_COUNT]

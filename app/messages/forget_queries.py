"""SQL of taking a deleted file from what shows it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from app.chats.message import columns
from app.infra.db import UnitOfWork
from app.messages.queries import Row

# Only of a file that is deleted: then no further message comes to show it. Not as a condition, for which PostgreSQL may
# read all that are deleted.
_SHOWING_CHAT = text("""
    SELECT chat_id FROM message_files r
    WHERE r.file_id = :file_id AND (SELECT deleted_at IS NOT NULL FROM files WHERE id = :file_id)
    ORDER BY chat_id LIMIT 1""")
_AVATAR_CHAT = text("""
    SELECT id FROM chats c
    WHERE c.avatar_file_id = :file_id AND (SELECT deleted_at IS NOT NULL FROM files WHERE id = :file_id)
    LIMIT 1""")

_TAKE = text("""
    DELETE FROM message_files WHERE file_id = :file_id AND chat_id = :chat_id AND message_id IN (
      SELECT message_id FROM message_files WHERE file_id = :file_id AND chat_id = :chat_id
      ORDER BY message_id LIMIT :most)
    RETURNING message_id""")
_STRIP = text(f"""
    UPDATE messages x SET file_id = NULL, revision = :revision
    WHERE x.id = :message_id AND x.deleted_at IS NULL RETURNING {columns("x")}""")
_DROP_AVATAR = text("UPDATE chats SET avatar_file_id = NULL WHERE id = :chat_id AND avatar_file_id = :file_id")


def showing_chat(unit: UnitOfWork, file_id: UUID) -> int | None:
    """A chat with messages that show a deleted file."""
    found: int | None = unit.execute(_SHOWING_CHAT, {"file_id": file_id}).scalar_one_or_none()
    return found


def avatar_chat(unit: UnitOfWork, file_id: UUID) -> int | None:
    """A chat whose avatar is a deleted file."""
    found: int | None = unit.execute(_AVATAR_CHAT, {"file_id": file_id}).scalar_one_or_none()
    return found


def take(unit: UnitOfWork, file_id: UUID, chat_id: int, most: int) -> list[int]:
    """The ids of so many messages of a locked chat that showed the file, and do so no more."""
    return sorted(unit.execute(_TAKE, {"file_id": file_id, "chat_id": chat_id, "most": most}).scalars())


def strip(unit: UnitOfWork, message_id: int, revision: int) -> Row | None:
    """Takes the file from a message of a locked chat; None where it is deleted."""
    row = unit.execute(_STRIP, {"message_id": message_id, "revision": revision}).one_or_none()
    return None if row is None else tuple(row)


def drop_avatar(unit: UnitOfWork, file_id: UUID, chat_id: int) -> None:
    """Takes its avatar from a locked chat."""
    unit.execute(_DROP_AVATAR, {"file_id": file_id, "chat_id": chat_id})

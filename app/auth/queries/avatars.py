"""SQL of pictures that people and chats show as theirs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from app.infra.db import UnitOfWork

_HOLD = text("SELECT avatar_file_id FROM users WHERE id = :user_id FOR NO KEY UPDATE")
# Holds the file: whoever removes files that nothing shows waits, and looks then.
_TAKE = text("""
    UPDATE files SET unused_since = NULL
    WHERE id = :file_id AND owner_id = :owner_id AND kind = 'image' AND status = 'ready' AND deleted_at IS NULL""")
_LET_GO = text("UPDATE files SET unused_since = now() WHERE id = :file_id AND unused_since IS NULL")


def hold(unit: UnitOfWork, user_id: int) -> UUID | None:
    """A person's avatar, which stays so until the transaction ends."""
    found: UUID | None = unit.execute(_HOLD, {"user_id": user_id}).scalar_one_or_none()
    return found


def take(unit: UnitOfWork, owner_id: int, file_id: UUID) -> bool:
    """Notes that a picture is used; False where it is none of the person's, or not ready."""
    return unit.execute(_TAKE, {"owner_id": owner_id, "file_id": file_id}).rowcount == 1


def let_go(unit: UnitOfWork, file_id: UUID) -> None:
    """Notes that a picture may be used no longer."""
    unit.execute(_LET_GO, {"file_id": file_id})

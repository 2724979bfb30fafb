"""SQL of removing files: only who holds a file's row decides that nothing shows it any more.

Sends that show a file hold its row by their foreign key, so none comes between.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.infra.db import UnitOfWork

_LOCK = text("""
    SELECT id FROM files WHERE id = ANY (CAST(:file_ids AS uuid[])) AND deleted_at IS NULL ORDER BY id FOR UPDATE""")
_LOCK_OWN = text("""
    SELECT id FROM files WHERE id = :file_id AND owner_id = :owner_id AND deleted_at IS NULL FOR UPDATE""")

# Each by an index: the rows of whatever shows a file.
_IS_SHOWN = """
    (EXISTS (SELECT FROM message_files r WHERE r.file_id = f.id OFFSET 0)
      OR EXISTS (SELECT FROM users u WHERE u.avatar_file_id = f.id OFFSET 0)
      OR EXISTS (SELECT FROM chats c WHERE c.avatar_file_id = f.id OFFSET 0))"""
# In a snapshot taken after the lock was had.
_UNSHOWN = text(f"""
    SELECT f.id FROM files f WHERE f.id = ANY (CAST(:file_ids AS uuid[])) AND NOT {_IS_SHOWN}""")

_MARK = text("UPDATE files SET deleted_at = now() WHERE id = ANY (CAST(:file_ids AS uuid[]))")
_DELETE = text("DELETE FROM files WHERE id = ANY (CAST(:file_ids AS uuid[]))")
# Who chooses an avatar holds the person's row before the file's.
_HOLD_OWNER = text("SELECT 1 FROM users WHERE id = :owner_id FOR NO KEY UPDATE")
_DROP_OWN_AVATAR = text("UPDATE users SET avatar_file_id = NULL WHERE id = :owner_id AND avatar_file_id = :file_id")


def lock(unit: UnitOfWork, file_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the files that are there and not deleted, held until the transaction ends."""
    return list(unit.execute(_LOCK, {"file_ids": _texts(file_ids)}).scalars())


def lock_own(unit: UnitOfWork, owner_id: int, file_id: UUID) -> bool:
    """Holds a person's file until the transaction ends; False where there is none."""
    found = unit.execute(_LOCK_OWN, {"owner_id": owner_id, "file_id": file_id}).one_or_none()
    return found is not None


def unshown(unit: UnitOfWork, file_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the held files that no message and no avatar shows."""
    return list(unit.execute(_UNSHOWN, {"file_ids": _texts(file_ids)}).scalars())


def mark(unit: UnitOfWork, file_ids: Sequence[UUID]) -> None:
    """Makes files deleted; their rows stay."""
    unit.execute(_MARK, {"file_ids": _texts(file_ids)})


def delete(unit: UnitOfWork, file_ids: Sequence[UUID]) -> None:
    """Deletes the rows of files that have no objects and are shown by nothing."""
    unit.execute(_DELETE, {"file_ids": _texts(file_ids)})


def drop_own_avatar(unit: UnitOfWork, owner_id: int, file_id: UUID) -> None:
    """Takes the file from its owner's profile, if it is there, and keeps others from putting it there."""
    unit.execute(_HOLD_OWNER, {"owner_id": owner_id})
    unit.execute(_DROP_OWN_AVATAR, {"owner_id": owner_id, "file_id": file_id})


def _texts(file_ids: Sequence[UUID]) -> list[str]:
    return [str(file_id) for file_id in file_ids]

"""SQL of what shows files, and of files that nothing shows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.infra.db import UnitOfWork

# By the index (chat_id, seq).
_HIDE_MESSAGE = text("DELETE FROM message_files WHERE chat_id = :chat_id AND seq = :seq RETURNING file_id")

_IN_USE = text("""
    UPDATE files SET unused_since = NULL
    WHERE id = ANY (CAST(:file_ids AS uuid[])) AND unused_since IS NOT NULL""")
_FORGOTTEN = text("""
    SELECT id FROM files WHERE unused_since < now() - make_interval(secs => :seconds) AND deleted_at IS NULL
    ORDER BY unused_since LIMIT :batch""")
# The job is to have had its time.
_DELETED = text("SELECT id FROM files WHERE deleted_at < now() - interval '1 minute' ORDER BY deleted_at LIMIT :batch")


def hide_message(unit: UnitOfWork, chat_id: int, seq: int) -> list[UUID]:
    """A message of a chat shows its file no longer; that file."""
    return list(unit.execute(_HIDE_MESSAGE, {"chat_id": chat_id, "seq": seq}).scalars())


def mark_in_use(unit: UnitOfWork, file_ids: Sequence[UUID]) -> None:
    """Notes of files that something shows them; those that are held and were not removed."""
    unit.execute(_IN_USE, {"file_ids": [str(file_id) for file_id in file_ids]})


def forgotten(unit: UnitOfWork, seconds: int, batch: int) -> list[UUID]:
    """Files that nothing has shown for so long, as far as it was noted."""
    return list(unit.execute(_FORGOTTEN, {"seconds": seconds, "batch": batch}).scalars())


def deleted(unit: UnitOfWork, batch: int) -> list[UUID]:
    """Files that their owners have deleted and that something still refers to."""
    return list(unit.execute(_DELETED, {"batch": batch}).scalars())

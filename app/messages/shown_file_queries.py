"""The SQL of messages that show a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.chats.message import columns
from app.infra.db import UnitOfWork

# One worker at a time tells of a file; the other one has nothing to do.
_HOLD_UNTOLD = text("""
    SELECT chat_id, message_id FROM untold_files WHERE file_id = :file_id FOR UPDATE SKIP LOCKED""")
_NOTE_TOLD = text("""
    UPDATE untold_files SET chat_id = :chat_id, message_id = :message_id WHERE file_id = :file_id""")
_END_UNTOLD = text("DELETE FROM untold_files WHERE file_id = :file_id")
# The job is to have had its time. What is asked for goes to the end, so that what always fails keeps nobody waiting.
_TAKE_DUE = text("""
    UPDATE untold_files SET since = now()
    WHERE file_id = ANY (ARRAY(
      SELECT file_id FROM untold_files WHERE since < now() - interval '1 minute' ORDER BY since LIMIT :batch
      FOR UPDATE SKIP LOCKED))
    RETURNING file_id""")

# Along the primary key.
_SHOWING = text("""
    SELECT chat_id, message_id FROM message_files
    WHERE file_id = :file_id AND (chat_id, message_id) > (:chat_id, :message_id)
    ORDER BY chat_id, message_id LIMIT :batch""")
# In the order in which everybody locks chats.
_HOLD_CHATS = text("""
    SELECT id, members_revision FROM chats WHERE id = ANY (CAST(:chat_ids AS bigint[])) ORDER BY id FOR UPDATE""")

_STAMP_CHAT = text("""
    UPDATE chats SET revision = r.revision
    FROM (SELECT next_message_id(GREATEST(revision, last_message_id)) AS revision
          FROM chats WHERE id = :chat_id OFFSET 0) r
    WHERE id = :chat_id RETURNING r.revision""")
# What was deleted meanwhile, the message or its file, is told by whoever does that.
_STAMP = text(f"""
    UPDATE messages x SET message_type = f.kind, revision = :revision
    FROM files f
    WHERE x.id = :message_id AND x.deleted_at IS NULL AND f.id = x.file_id AND f.deleted_at IS NULL
    RETURNING {columns("x")}""")


class Place(NamedTuple):
    """A message that shows a file; they are told in this order."""

    chat_id: int
    message_id: int


def hold_untold(unit: UnitOfWork, file_id: UUID) -> Place | None:
    """The last message that was told of a file; None where all were, or somebody else is at it."""
    row = unit.execute(_HOLD_UNTOLD, {"file_id": file_id}).one_or_none()
    return None if row is None else Place._make(row)


def note_told(unit: UnitOfWork, file_id: UUID, last: Place) -> None:
    """Messages up to this one were told of a file."""
    unit.execute(_NOTE_TOLD, {"file_id": file_id, **last._asdict()})


def end_untold(unit: UnitOfWork, file_id: UUID) -> None:
    """All messages were told of a file."""
    unit.execute(_END_UNTOLD, {"file_id": file_id})


def take_due(unit: UnitOfWork, batch: int) -> list[UUID]:
    """Files that messages were not told of in time, those that wait longest; due again in a minute."""
    return list(unit.execute(_TAKE_DUE, {"batch": batch}).scalars())


def showing(unit: UnitOfWork, file_id: UUID, after: Place, batch: int) -> list[Place]:
    """The next messages that show a file."""
    rows = unit.execute(_SHOWING, {"file_id": file_id, "batch": batch, **after._asdict()})
    return [Place._make(row) for row in rows]


def hold_chats(unit: UnitOfWork, chat_ids: Sequence[int]) -> dict[int, int]:
    """Locks chats; their members_revision by id."""
    return {row.id: row.members_revision for row in unit.execute(_HOLD_CHATS, {"chat_ids": list(set(chat_ids))})}


def stamp(unit: UnitOfWork, place: Place) -> tuple[Any, ...] | None:
    """Gives a message of a locked chat the kind of its file, and both a new revision: its row.

    None where it shows the file no longer.
    """
    revision = unit.execute(_STAMP_CHAT, {"chat_id": place.chat_id}).scalar_one()
    row = unit.execute(_STAMP, {"message_id": place.message_id, "revision": revision}).one_or_none()
    return None if row is None else tuple(row)

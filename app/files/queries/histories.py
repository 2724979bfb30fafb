"""SQL of histories that nobody sees any more, whose messages still are among those that show files."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork

# One row, however many files there are, and none where there is no file.
_NOTE = text("""
    INSERT INTO released_histories (chat_id, seq)
    SELECT :chat_id, :seq WHERE EXISTS (SELECT FROM message_files WHERE chat_id = :chat_id AND seq <= :seq OFFSET 0)
    ON CONFLICT (chat_id) DO UPDATE SET seq = GREATEST(released_histories.seq, excluded.seq)""")

# One worker at a time lets go of a history; the other one has nothing to do.
_HOLD = text("SELECT seq FROM released_histories WHERE chat_id = :chat_id FOR UPDATE SKIP LOCKED")
# By the index (chat_id, seq), never by a bitmap, which would read all of the history for each batch. Whoever deletes a
# message, or forgets a file, holds its row and may wait for the file's: what is held is left to them, so that nobody
# waits for each other.
_TAKE = Prepared(
    "history_take",
    ("bigint", "bigint", "bigint"),
    """
    DELETE FROM message_files WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM message_files WHERE chat_id = $1 AND seq <= $2 ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED))
    RETURNING file_id""",
    setting="enable_bitmapscan = off",
)
_END = text("""
    DELETE FROM released_histories h
    WHERE h.chat_id = :chat_id
      AND NOT EXISTS (SELECT FROM message_files r WHERE r.chat_id = :chat_id AND r.seq <= :seq OFFSET 0)""")
# The job is to have had its time. What is asked for goes to the end, so that what always fails keeps nobody waiting.
_TAKE_DUE = text("""
    UPDATE released_histories SET since = now()
    WHERE chat_id = ANY (ARRAY(
      SELECT chat_id FROM released_histories WHERE since < now() - interval '1 minute' ORDER BY since LIMIT :batch
      FOR UPDATE SKIP LOCKED))
    RETURNING chat_id""")


def note(unit: UnitOfWork, chat_id: int, seq: int) -> bool:
    """Notes that nobody sees the messages of a locked chat up to `seq`; False where none of them shows a file."""
    return unit.execute(_NOTE, {"chat_id": chat_id, "seq": seq}).rowcount == 1


def hold(unit: UnitOfWork, chat_id: int) -> int | None:
    """Up to which seq files are to be let go of; None where there are none, or somebody else is at it."""
    seq: int | None = unit.execute(_HOLD, {"chat_id": chat_id}).scalar_one_or_none()
    return seq


def take(unit: UnitOfWork, chat_id: int, seq: int, batch: int) -> list[UUID]:
    """The files of so many messages of a held history, which show them no longer; one for each message."""
    return [row[0] for row in _TAKE.rows(unit.connection, chat_id, seq, batch)]


def end(unit: UnitOfWork, chat_id: int, seq: int) -> bool:
    """Ends a held history whose messages show no files any more; False where some do."""
    return unit.execute(_END, {"chat_id": chat_id, "seq": seq}).rowcount == 1


def take_due(unit: UnitOfWork, batch: int) -> list[int]:
    """Chats whose files nobody has let go of in time, those that wait longest; due again in a minute."""
    return list(unit.execute(_TAKE_DUE, {"batch": batch}).scalars())

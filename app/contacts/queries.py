"""Every SQL statement about contacts and blocks."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import TextClause, text

from app.auth.profile import ProfileRow, profile_columns
from app.infra.db import UnitOfWork

# Of longer names the first letters decide, so that a cursor, which holds them, stays short.
_SORT_NAME = "left(u.sort_name, 64)"


def _list(table: str, other: str) -> TextClause:
    return text(f"""
    SELECT {profile_columns("u", ":user_id")}, {_SORT_NAME} AS sort_name
    FROM {table} c JOIN users u ON u.id = c.{other}
    WHERE c.user_id = :user_id AND u.deleted_at IS NULL AND ({_SORT_NAME}, u.id) > (:name, :after_id)
    ORDER BY sort_name, u.id
    LIMIT :limit""")


_LIST = _list("contacts", "contact_id")
_LIST_BLOCKED = _list("blocks", "blocked_id")

_ADD = text("INSERT INTO contacts (user_id, contact_id) VALUES (:user_id, :other_id) ON CONFLICT DO NOTHING")
_REMOVE = text("DELETE FROM contacts WHERE user_id = :user_id AND contact_id = :other_id")
_BLOCK = text("INSERT INTO blocks (user_id, blocked_id) VALUES (:user_id, :other_id) ON CONFLICT DO NOTHING")
_UNBLOCK = text("DELETE FROM blocks WHERE user_id = :user_id AND blocked_id = :other_id")

# Changes of what a person shows are told under this lock, so that the one told last is the one that holds.
_LOCK_PRESENCE = text("SELECT last_seen_at FROM users WHERE id = :user_id FOR NO KEY UPDATE")

# Whom presence_audiences of app/realtime tells when a person comes and goes, blocks aside: keep the two alike.
_FOLLOWS_PRESENCE = text("""
    SELECT EXISTS (SELECT FROM contacts WHERE user_id = :viewer_id AND contact_id = :user_id)
        OR EXISTS (
          SELECT FROM chats c JOIN user_chat_states s ON s.chat_id = c.id AND s.user_id = :user_id
          WHERE c.direct_key = :direct_key AND (c.last_seq > 0 OR NOT s.hidden))""")

# Sends and calls that begin hold the same row while they look for blocks and store. A call that is older than the block
# ends by it, so its time is one at which none begins.
_LOCK_DIRECT_CHAT = text("""
    WITH held AS (SELECT id FROM chats WHERE direct_key = :direct_key FOR UPDATE)
    UPDATE blocks SET created_at = clock_timestamp() FROM held WHERE user_id = :user_id AND blocked_id = :other_id""")

# What was read of somebody meanwhile, see `queueing` of app/chats, but for what was cleared, read or not. A bounded
# stretch: who is blocked sends nothing. The state is held first: what is being read now comes before, or sees no block.
_LOCK_STATE = text("""
    SELECT 1 FROM chats c JOIN user_chat_states s ON s.chat_id = c.id AND s.user_id = :user_id
    WHERE c.direct_key = :direct_key FOR NO KEY UPDATE OF s""")
_QUEUE_RECEIPTS = text("""
    INSERT INTO receipt_queue (chat_id, user_id, is_read, after_seq, up_to_seq)
    SELECT c.id, s.user_id, moved.is_read, moved.after_seq, moved.up_to_seq
    FROM chats c JOIN user_chat_states s ON s.chat_id = c.id AND s.user_id = :user_id
    CROSS JOIN LATERAL (VALUES
      (true, c.read_seq, s.last_read_seq),
      (false, c.delivered_seq, GREATEST(s.last_delivered_seq, s.last_read_seq))) mark (is_read, settled_seq, up_to_seq)
    CROSS JOIN LATERAL (
      SELECT mark.is_read, mark.up_to_seq,
        GREATEST(mark.settled_seq, s.cleared_seq, mark.up_to_seq - :most) AS after_seq) moved
    WHERE c.direct_key = :direct_key AND moved.after_seq < moved.up_to_seq
    RETURNING chat_id""")
_MOST_SEQS_QUEUED = 1_000


class Position(NamedTuple):
    """Where a page of people begins: after the one with these values."""

    name: str
    user_id: int


def list_contacts(unit: UnitOfWork, user_id: int, after: Position, limit: int) -> list[tuple[ProfileRow, Position]]:
    """A person's contacts by name past a position, without erased ones."""
    return _people(unit, _LIST, user_id, after, limit)


def list_blocked(unit: UnitOfWork, user_id: int, after: Position, limit: int) -> list[tuple[ProfileRow, Position]]:
    """Whom a person has blocked by name past a position, without erased ones."""
    return _people(unit, _LIST_BLOCKED, user_id, after, limit)


def _people(
    unit: UnitOfWork, statement: TextClause, user_id: int, after: Position, limit: int
) -> list[tuple[ProfileRow, Position]]:
    parameters = {"user_id": user_id, "name": after.name, "after_id": after.user_id, "limit": limit}
    return [(ProfileRow._make(row[:-1]), Position(row[-1], row[0])) for row in unit.execute(statement, parameters)]


def add_contact(unit: UnitOfWork, user_id: int, other_id: int) -> bool:
    """Adds a contact; False where it was there."""
    return unit.execute(_ADD, {"user_id": user_id, "other_id": other_id}).rowcount > 0


def remove_contact(unit: UnitOfWork, user_id: int, other_id: int) -> None:
    """Removes a contact."""
    unit.execute(_REMOVE, {"user_id": user_id, "other_id": other_id})


def block(unit: UnitOfWork, user_id: int, other_id: int) -> bool:
    """Blocks a person; False where it was so."""
    return unit.execute(_BLOCK, {"user_id": user_id, "other_id": other_id}).rowcount > 0


def unblock(unit: UnitOfWork, user_id: int, other_id: int) -> bool:
    """Ends a block; False where there was none."""
    return unit.execute(_UNBLOCK, {"user_id": user_id, "other_id": other_id}).rowcount > 0


def lock_presence(unit: UnitOfWork, user_id: int) -> datetime | None:
    """When a person was seen last (UTC); what the person shows is told by nobody else until the transaction ends."""
    last_seen: datetime | None = unit.execute(_LOCK_PRESENCE, {"user_id": user_id}).scalar_one()
    return last_seen


def lock_direct_chat(unit: UnitOfWork, user_id: int, other_id: int) -> None:
    """Waits until what is just being sent in the direct chat of two people, if they have one, is stored or not.

    What comes after it sees the block, which is older than that.
    """
    parameters = {"direct_key": _direct_key(user_id, other_id), "user_id": user_id, "other_id": other_id}
    unit.execute(_LOCK_DIRECT_CHAT, parameters)


def _direct_key(user_id: int, other_id: int) -> str:
    return f"{min(user_id, other_id)}:{max(user_id, other_id)}"


def queue_receipts(unit: UnitOfWork, user_id: int, other_id: int) -> int | None:
    """Queues what a person has got and read of the other one's in a direct chat; the chat, if there is any of it."""
    parameters = {"direct_key": _direct_key(user_id, other_id), "user_id": user_id}
    unit.execute(_LOCK_STATE, parameters)
    return next(
        (chat_id for (chat_id,) in unit.execute(_QUEUE_RECEIPTS, parameters | {"most": _MOST_SEQS_QUEUED})), None
    )


def follows_presence(unit: UnitOfWork, viewer_id: int, user_id: int) -> bool:
    """Whether the viewer is told when a person comes and goes, unless blocked."""
    parameters = {"user_id": user_id, "viewer_id": viewer_id, "direct_key": _direct_key(user_id, viewer_id)}
    return bool(unit.execute(_FOLLOWS_PRESENCE, parameters).scalar_one())

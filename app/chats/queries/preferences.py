"""What each member sets for oneself: pinned, muted, cleared, hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.infra.db import UnitOfWork

# Pins of one person wait for each other, so that their number is exact.
_LOCK_PERSON = text("SELECT 1 FROM users WHERE id = :user_id FOR NO KEY UPDATE")

_COUNT_PINNED = text("""
    SELECT count(*) FROM user_chat_states s
    JOIN chat_members m ON m.chat_id = s.chat_id AND m.user_id = s.user_id AND m.left_at IS NULL
    WHERE s.user_id = :user_id AND s.is_pinned AND s.chat_id <> :chat_id""")

# A chat's revision, as its members see it, is the higher one of its own and of their state: past both of them.
_PIN = text("""
    UPDATE user_chat_states s SET is_pinned = :pinned, revision = next_message_id(GREATEST(s.revision, c.revision))
    FROM chats c
    WHERE c.id = :chat_id AND s.user_id = :user_id AND s.chat_id = :chat_id AND s.is_pinned <> :pinned""")

_MUTE = text("""
    UPDATE user_chat_states s SET is_muted = :muted, muted_until = :until,
      revision = next_message_id(GREATEST(s.revision, c.revision))
    FROM chats c
    WHERE c.id = :chat_id AND s.user_id = :user_id AND s.chat_id = :chat_id
      AND (s.is_muted, s.muted_until) IS DISTINCT FROM (:muted, CAST(:until AS timestamptz))""")

_LOCK_STATES = text("""
    SELECT 1 FROM user_chat_states WHERE chat_id = :chat_id AND user_id = ANY (CAST(:user_ids AS bigint[]))
    ORDER BY user_id FOR NO KEY UPDATE""")

# What is cleared is read. With the state locked before, this statement sees all messages that are counted in it. A
# chat that is in the list, if only because of its messages, stays there unless it is to be hidden. One that is out of
# it is not hidden once more, so nobody is told by that of a chat that another person opened.
_CLEAR = text("""
    UPDATE user_chat_states s SET unread_count = 0, counted_seq = c.last_seq, last_read_seq = c.last_seq,
      last_read_message_id = c.last_message_id, last_delivered_seq = c.last_seq, cleared_seq = c.last_seq,
      hidden = :hides OR (s.hidden AND c.last_seq <= s.cleared_seq), is_pinned = s.is_pinned AND NOT :hides,
      revision = next_message_id(GREATEST(s.revision, c.revision))
    FROM chats c
    WHERE c.id = :chat_id AND s.chat_id = :chat_id AND s.user_id = ANY (CAST(:user_ids AS bigint[]))
      AND NOT (s.hidden AND c.last_seq <= s.cleared_seq AND NOT (:hides AND s.is_pinned))
    RETURNING s.user_id, s.revision""")

# Whoever hides a message holds the state first, so nothing more comes to what is cleared. Somebody may have hidden any
# number of messages, and a statement has a time-out: so it takes many.
_FORGET_HIDES = text("""
    DELETE FROM message_hides WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM message_hides WHERE user_id = ANY (CAST(:user_ids AS bigint[])) AND chat_id = :chat_id
      LIMIT :batch))""")
_HIDES_AT_ONCE = 10_000


_CLEARED_BY_ALL = text("""
    SELECT min(s.cleared_seq) FROM chat_members m
    JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
    WHERE m.chat_id = :chat_id""")


def cleared_by_all(unit: UnitOfWork, chat_id: int) -> int:
    """Up to which seq everybody in a direct chat has cleared it."""
    seq: int = unit.execute(_CLEARED_BY_ALL, {"chat_id": chat_id}).scalar_one()
    return seq


def count_other_pinned(unit: UnitOfWork, user_id: int, chat_id: int) -> int:
    """How many other chats the person has pinned; no pin of theirs comes in between until the transaction ends."""
    unit.execute(_LOCK_PERSON, {"user_id": user_id})
    count: int = unit.execute(_COUNT_PINNED, {"user_id": user_id, "chat_id": chat_id}).scalar_one()
    return count


def pin(unit: UnitOfWork, user_id: int, chat_id: int, pinned: bool) -> bool:
    """Pins or unpins a chat; whether that changed anything."""
    return bool(unit.execute(_PIN, {"user_id": user_id, "chat_id": chat_id, "pinned": pinned}).rowcount)


def mute(unit: UnitOfWork, user_id: int, chat_id: int, muted: bool, until: datetime | None) -> bool:
    """Mutes a chat, until a moment or for good, or ends that; whether it changed anything."""
    parameters = {"user_id": user_id, "chat_id": chat_id, "muted": muted, "until": until}
    return bool(unit.execute(_MUTE, parameters).rowcount)


def clear(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int], hides: bool) -> dict[int, int]:
    """Clears the history of members up to now, with what they have hidden of it, and unlists the chat where `hides`.

    Answers the revision of that for each of them, leaving out those who had the chat out of the list already.
    """
    parameters = {"chat_id": chat_id, "user_ids": list(user_ids)}
    unit.execute(_LOCK_STATES, parameters)
    rows: Iterable[Any] = unit.execute(_CLEAR, {**parameters, "hides": hides})
    revisions = {row.user_id: row.revision for row in rows}
    while unit.execute(_FORGET_HIDES, {**parameters, "batch": _HIDES_AT_ONCE}).rowcount == _HIDES_AT_ONCE:
        pass
    return revisions

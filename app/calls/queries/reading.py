"""SQL of looking at calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.infra.db import Prepared, UnitOfWork


class CallRow(NamedTuple):
    """A call as it is stored, who is in it now, and which devices of a direct call are in it."""

    id: int
    chat_id: int
    caller_id: int
    callee_id: int | None
    call_type: str
    state: str
    end_reason: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    revision: int
    participant_ids: list[int]
    caller_session_id: str | None
    callee_session_id: str | None


class Remembered(NamedTuple):
    """A call of a person's history; who has left its group since: when, and the least revision of that moment."""

    call: CallRow
    left_at: datetime | None
    left_revision: int | None


class Peer(NamedTuple):
    """The other person of a direct chat, and whether that person exists and takes calls from the first."""

    user_id: int
    is_living: bool
    blocks: bool


# What belongs to the few rows that are found first is asked for by its keys, and so it stays (`OFFSET 0`): a plan made
# while tables are small must not read one whole when it is large.
_COLUMNS = """
    c.id, c.chat_id, c.caller_id, c.callee_id, c.call_type, c.state, c.end_reason, c.started_at, c.answered_at,
    c.ended_at, c.revision,
    ARRAY(SELECT p.user_id FROM (SELECT * FROM call_participants WHERE call_id = c.id OFFSET 0) p
          WHERE p.joined_at IS NOT NULL AND p.left_at IS NULL ORDER BY p.joined_at, p.user_id),
    (SELECT p.session_id::text FROM call_participants p WHERE p.call_id = c.id AND p.user_id = c.caller_id),
    (SELECT p.session_id::text FROM call_participants p WHERE p.call_id = c.id AND p.user_id = c.callee_id)"""

_FIND = Prepared("call_find", ("bigint",), f"SELECT {_COLUMNS} FROM calls c WHERE c.id = $1")

_LIVE_IN_CHAT = Prepared(
    "call_live_in_chat", ("bigint",), "SELECT id FROM calls WHERE chat_id = $1 AND state <> 'ended'"
)

_BUSY = Prepared(
    "call_busy",
    ("bigint[]",),
    """
    SELECT p.user_id
    FROM (SELECT user_id, call_id FROM call_participants WHERE user_id = ANY ($1) AND left_at IS NULL OFFSET 0) p
    CROSS JOIN LATERAL (SELECT state, deadline FROM calls WHERE id = p.call_id OFFSET 0) c
    WHERE NOT (c.state = 'ringing' AND c.deadline <= clock_timestamp())""",
)

# Whether the person of the participant `p` is in the chat of the call `c`.
IS_MEMBER = """
    SELECT FROM (SELECT left_at FROM chat_members WHERE chat_id = c.chat_id AND user_id = p.user_id OFFSET 0) m
    WHERE m.left_at IS NULL"""

_LIVE_OF_PEOPLE = Prepared(
    "call_live_of_people",
    ("bigint[]",),
    f"""
    SELECT p.user_id, {_COLUMNS}
    FROM (SELECT user_id, call_id FROM call_participants WHERE user_id = ANY ($1) AND left_at IS NULL OFFSET 0) p
    CROSS JOIN LATERAL (SELECT * FROM calls WHERE id = p.call_id OFFSET 0) c
    WHERE NOT (c.state = 'ringing' AND c.deadline <= clock_timestamp())
      AND (c.callee_id IS NOT NULL OR EXISTS ({IS_MEMBER}))""",
)

_PEOPLE_OF = Prepared("call_people_of", ("bigint",), "SELECT user_id FROM call_participants WHERE call_id = $1")

_HISTORY_SQL = """
    SELECT {columns}, m.left_at, message_id_at(m.left_at)
    FROM (SELECT call_id FROM call_participants WHERE user_id = $1 AND call_id < $2 {condition}
          ORDER BY call_id DESC LIMIT $3) p
    CROSS JOIN LATERAL (SELECT * FROM calls WHERE id = p.call_id OFFSET 0) c
    LEFT JOIN LATERAL (
      SELECT left_at FROM chat_members WHERE chat_id = c.chat_id AND user_id = $1 AND c.callee_id IS NULL OFFSET 0) m
      ON true
    ORDER BY c.id DESC"""
_HISTORY_TYPES = ("bigint", "bigint", "integer")
_HISTORY = Prepared("call_history", _HISTORY_TYPES, _HISTORY_SQL.format(columns=_COLUMNS, condition=""))
_MISSED = Prepared("call_missed", _HISTORY_TYPES, _HISTORY_SQL.format(columns=_COLUMNS, condition="AND is_missed"))

_DIRECT_CHAT = Prepared("call_direct_chat", ("text",), "SELECT id FROM chats WHERE direct_key = $1")

_THE_OTHER = Prepared(
    "call_the_other",
    ("bigint", "bigint"),
    """
    SELECT u.id, u.deleted_at IS NULL,
      EXISTS (SELECT FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = $2 OFFSET 0)
    FROM (SELECT user_id FROM chat_members WHERE chat_id = $1 AND user_id <> $2 LIMIT 1) m
    CROSS JOIN LATERAL (SELECT id, deleted_at FROM users WHERE id = m.user_id OFFSET 0) u""",
)


def find(unit: UnitOfWork, call_id: int) -> CallRow | None:
    """A call by its id."""
    row = _FIND.row(unit.connection, call_id)
    return None if row is None else CallRow._make(row)


def live_in_chat(unit: UnitOfWork, chat_id: int) -> int | None:
    """The id of the call that a chat has now."""
    row = _LIVE_IN_CHAT.row(unit.connection, chat_id)
    return None if row is None else row[0]


def busy_people(unit: UnitOfWork, user_ids: Sequence[int]) -> set[int]:
    """Which of the people are in a call, or rung by one that should still ring."""
    return {row[0] for row in _BUSY.rows(unit.connection, list(user_ids))}


def live_of_people(unit: UnitOfWork, user_ids: Sequence[int]) -> dict[int, CallRow]:
    """The calls that people are in now, or that should still ring for them; of a group only for its members."""
    rows = _LIVE_OF_PEOPLE.rows(unit.connection, list(user_ids))
    return {row[0]: CallRow._make(row[1:]) for row in rows}


def people_of(unit: UnitOfWork, call_id: int) -> list[int]:
    """Whoever is or was in a call, or rung by it."""
    return [row[0] for row in _PEOPLE_OF.rows(unit.connection, call_id)]


def history(unit: UnitOfWork, user_id: int, before: int, missed: bool, limit: int) -> list[Remembered]:
    """A person's calls with an id below `before`, the latest first."""
    statement = _MISSED if missed else _HISTORY
    rows = statement.rows(unit.connection, user_id, before, limit)
    return [Remembered(CallRow._make(row[:-2]), row[-2], row[-1]) for row in rows]


def direct_chat(unit: UnitOfWork, user_id: int, other_id: int) -> int | None:
    """The chat of two people, if they have one."""
    row = _DIRECT_CHAT.row(unit.connection, f"{min(user_id, other_id)}:{max(user_id, other_id)}")
    return None if row is None else row[0]


def the_other(unit: UnitOfWork, chat_id: int, user_id: int) -> Peer | None:
    """Who is on the other side of a direct chat; None in a chat with oneself."""
    row = _THE_OTHER.row(unit.connection, chat_id, user_id)
    return None if row is None else Peer._make(row)

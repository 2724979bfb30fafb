"""SQL of searching: where the caller may look, and what of the found messages the caller may see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.chats.hides import is_hidden
from app.chats.message import columns
from app.infra.db import Prepared, UnitOfWork
from app.search.index import Scope

Row = tuple[Any, ...]

# The bounds on chat_id take one chat or all of them, along the same index.
_SCOPES = Prepared(
    "search_scopes",
    ("bigint", "bigint", "bigint"),
    """
    SELECT m.chat_id, GREATEST(s.cleared_seq, m.history_from_seq)
    FROM chat_members m
    CROSS JOIN LATERAL (
      SELECT cleared_seq FROM user_chat_states WHERE user_id = m.user_id AND chat_id = m.chat_id OFFSET 0) s
    WHERE m.user_id = $1 AND m.chat_id >= $2 AND m.chat_id <= $3 AND m.left_at IS NULL""",
)

# Each look-up is by key, whatever the planner thinks of the tables' sizes.
_VISIBLE = Prepared(
    "search_visible",
    ("bigint", "bigint[]", "timestamptz", "timestamptz"),
    f"""
    SELECT {columns("x")}
    FROM unnest($2) AS k (id)
    CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = k.id OFFSET 0) x
    CROSS JOIN LATERAL (
      SELECT history_from_seq FROM chat_members
      WHERE chat_id = x.chat_id AND user_id = $1 AND left_at IS NULL OFFSET 0) m
    CROSS JOIN LATERAL (
      SELECT cleared_seq FROM user_chat_states WHERE user_id = $1 AND chat_id = x.chat_id OFFSET 0) s
    WHERE x.deleted_at IS NULL AND x.seq > GREATEST(s.cleared_seq, m.history_from_seq)
      AND ($3 IS NULL OR x.created_at >= $3) AND ($4 IS NULL OR x.created_at < $4) AND NOT {is_hidden("x", "$1")}
    ORDER BY x.id DESC""",
)

_USER = text("SELECT id FROM users WHERE lower(username) = lower(:username) AND deleted_at IS NULL")

_ALL = (1, 2**62)


def scopes(unit: UnitOfWork, user_id: int, chat_id: int | None) -> list[Scope]:
    """The chats that a person is in, or the one of them, and up to where each is not shown to that person."""
    least, most = _ALL if chat_id is None else (chat_id, chat_id)
    return [Scope._make(row) for row in _SCOPES.rows(unit.connection, user_id, least, most)]


def visible(
    unit: UnitOfWork, user_id: int, message_ids: Sequence[int], since: datetime | None, until: datetime | None
) -> list[Row]:
    """Those of the messages, sent in [since, until), that a person may see now; newest first."""
    return _VISIBLE.rows(unit.connection, user_id, list(message_ids), since, until)


def user_named(unit: UnitOfWork, username: str) -> int | None:
    """Who has a username, in whatever case."""
    found: int | None = unit.execute(_USER, {"username": username}).scalar_one_or_none()
    return found


class ChatRow(NamedTuple):
    """A public chat."""

    id: int
    type: str
    name: str
    username: str
    description: str | None
    avatar_file_id: UUID | None
    member_count: int
    is_member: bool
    rank: int


class ChatPosition(NamedTuple):
    """Where a page of found chats begins: after this one."""

    rank: int
    member_count: int
    chat_id: int


MOST_CANDIDATES = 10_000
"""Chats that are looked at: of those with one of the words the first by that word."""

# An end is the beginning followed by the last character that there is.
_CHATS = Prepared(
    "search_chats",
    ("bigint", "text", "text", "text[]", "text[]", "text", "integer", "integer", "bigint", "integer", "integer"),
    """
    WITH candidates AS (
      SELECT DISTINCT chat_id FROM (
        SELECT chat_id FROM chat_names WHERE word >= $2 AND word < $3 ORDER BY word, chat_id LIMIT $11) n
    ), matching AS (
      SELECT chat_id FROM candidates n
      WHERE NOT EXISTS (
        SELECT FROM unnest($4, $5) AS w (beginning, ending)
        WHERE NOT EXISTS (
          SELECT FROM chat_names o WHERE o.chat_id = n.chat_id AND o.word >= w.beginning AND o.word < w.ending
          OFFSET 0))
      UNION SELECT id FROM chats WHERE lower(username) = $6
    )
    SELECT f.* FROM (
      SELECT c.id, c.type, c.name, c.username, c.description, c.avatar_file_id, c.member_count,
        coalesce((SELECT true FROM chat_members m
                  WHERE m.chat_id = c.id AND m.user_id = $1 AND m.left_at IS NULL), false) AS is_member,
        CASE WHEN lower(c.username) = $6 THEN 0 ELSE 1 END AS rank
      FROM matching n
      CROSS JOIN LATERAL (SELECT * FROM chats WHERE id = n.chat_id AND username IS NOT NULL OFFSET 0) c) f
    WHERE (f.rank, -f.member_count, f.id) > ($7, -$8, $9)
    ORDER BY f.rank, f.member_count DESC, f.id LIMIT $10""",
)
_LAST_CHARACTER = "\U0010ffff"


def chats(
    unit: UnitOfWork, user_id: int, words: Sequence[str], username: str | None, after: ChatPosition, limit: int
) -> list[ChatRow]:
    """Public chats past a position whose names begin with all the words, the one with the username first."""
    return [
        ChatRow._make(row)
        for row in _CHATS.rows(unit.connection, *chat_parameters(user_id, words, username, after, limit))
    ]


def chat_parameters(
    user_id: int, words: Sequence[str], username: str | None, after: ChatPosition, limit: int
) -> tuple[object, ...]:
    """The parameters of the statement that finds chats."""
    first, others = words[:1], list(words[1:])
    bounds = (first[0], first[0] + _LAST_CHARACTER) if first else (None, None)
    return (
        user_id,
        *bounds,
        others,
        [word + _LAST_CHARACTER for word in others],
        username,
        *after,
        limit,
        MOST_CANDIDATES,
    )

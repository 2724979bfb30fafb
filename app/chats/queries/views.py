"""Chats as their members see them: one, or a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.auth.profile import ProfileRow, profile_columns
from app.chats import message
from app.chats.hides import is_hidden
from app.chats.unread import UNREAD
from app.infra.db import Prepared, UnitOfWork

Row = tuple[Any, ...]

_MUTED = "(s.is_muted AND coalesce(s.muted_until > now(), true))"
_ACTIVITY = "GREATEST(c.last_message_id, message_id_at(c.created_at))"

# A chat stays out of a list, where it is hidden, until there are messages past what was cleared.
LISTED = "(NOT s.hidden OR c.last_seq > s.cleared_seq)"

CHAT_COLUMN_COUNT = 24
USER_ID = 19
"""Where a row holds whose view it is."""
IS_LISTED = 22
"""Where a row holds whether the chat is in that person's list."""
PEER_COLUMN_COUNT = len(ProfileRow._fields)

CHAT_COLUMNS = f"""
  c.id, c.type, c.name, c.username, c.description, c.created_by, c.created_at, c.updated_at, c.member_count,
  c.last_seq, m.role, ({UNREAD})::bigint, s.is_pinned,
  {_MUTED}, CASE WHEN {_MUTED} THEN s.muted_until END, s.last_read_message_id, s.last_read_seq,
  GREATEST(c.revision, m.revision, s.revision), {_ACTIVITY}, m.user_id, c.members_revision,
  GREATEST(s.cleared_seq, m.history_from_seq), {LISTED}, c.avatar_file_id,
  p.*,
  {message.columns("l")}"""

# What a member sees of a chat's messages.
_VISIBLE = f"""
      x.seq > GREATEST(s.cleared_seq, m.history_from_seq) AND x.deleted_at IS NULL
      AND NOT {is_hidden("x", "m.user_id")}"""
# Behind how many deleted messages the last visible one is still looked for.
_FURTHEST_LAST = 1000

# OFFSET 0 and LIMIT keep each look-up a look-up by key, whatever the planner thinks of the tables' sizes. The last
# message is nearly always the chat's own; only where the member does not see that one are those before it looked at.
CHAT_JOINS = f"""
  LEFT JOIN LATERAL (
    SELECT {profile_columns("u", "m.user_id")}
    FROM chat_members o CROSS JOIN LATERAL (SELECT * FROM users WHERE id = o.user_id OFFSET 0) u
    WHERE c.type = 'direct' AND o.chat_id = c.id AND (o.user_id <> m.user_id OR c.member_count = 1)
    OFFSET 0) p ON true
  LEFT JOIN LATERAL (
    (SELECT * FROM messages x WHERE x.id = c.last_message_id AND {_VISIBLE} LIMIT 1)
    UNION ALL
    (SELECT * FROM messages x
     WHERE x.chat_id = c.id AND x.seq < c.last_seq AND x.seq >= c.last_seq - {_FURTHEST_LAST} AND {_VISIBLE}
     ORDER BY x.seq DESC LIMIT 1)
    LIMIT 1) l ON true"""

# Each by key: joined, a plan made while the tables are small would read all chats there are.
MY_CHATS = """
  FROM chat_members m
  CROSS JOIN LATERAL (SELECT * FROM chats WHERE id = m.chat_id OFFSET 0) c
  CROSS JOIN LATERAL (SELECT * FROM user_chat_states WHERE user_id = m.user_id AND chat_id = m.chat_id OFFSET 0) s"""

WITHOUT_LAST_MESSAGE = CHAT_COLUMN_COUNT + PEER_COLUMN_COUNT
"""So many columns of CHAT_COLUMNS come before those of the last message."""


def shown(chat_id: str) -> str:
    """The chat with this id as the member $1 sees it: a SELECT of CHAT_COLUMNS, to be joined laterally."""
    return f"""
      SELECT {CHAT_COLUMNS}
      {MY_CHATS}
      {CHAT_JOINS}
      WHERE m.chat_id = {chat_id} AND m.user_id = $1 OFFSET 0"""


_LIST = Prepared(
    "chat_list",
    ("bigint", "text", "boolean", "boolean", "bigint", "bigint", "integer"),
    f"""
    WITH page AS (
      SELECT m.chat_id, s.is_pinned, {_ACTIVITY} AS activity
      {MY_CHATS}
      WHERE m.user_id = $1 AND m.left_at IS NULL AND {LISTED}
        AND ($2 IS NULL OR c.type = $2)
        AND CASE WHEN $3 THEN ({UNREAD}) > 0 ELSE true END
        AND ($4 IS NULL OR (s.is_pinned, {_ACTIVITY}, c.id) < ($4, $5, $6))
      ORDER BY s.is_pinned DESC, activity DESC, m.chat_id DESC
      LIMIT $7
    )
    SELECT v.*
    FROM page CROSS JOIN LATERAL ({shown("page.chat_id")}) v
    ORDER BY page.is_pinned DESC, page.activity DESC, page.chat_id DESC""",
)

_VIEWS = Prepared(
    "chat_views",
    ("bigint", "bigint[]"),
    f"""
    SELECT {CHAT_COLUMNS}
    {MY_CHATS}
    {CHAT_JOINS}
    WHERE m.chat_id = $1 AND m.user_id = ANY ($2) AND m.left_at IS NULL
    ORDER BY m.user_id""",
)


class ListPosition(NamedTuple):
    """Where a page of the chat list begins: after the chat with these values."""

    is_pinned: bool
    activity: int
    chat_id: int


def list_chats(
    unit: UnitOfWork, user_id: int, chat_type: str | None, unread: bool, after: ListPosition | None, limit: int
) -> list[Row]:
    """One page of a person's chats, pinned first and then the latest active; one statement."""
    pinned, activity, chat_id = after or (None, None, None)
    return _LIST.rows(unit.connection, user_id, chat_type, unread, pinned, activity, chat_id, limit)


def of_members(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int]) -> list[Row]:
    """The chat as each of those members sees it; nothing for whoever is not in it."""
    return _VIEWS.rows(unit.connection, chat_id, list(user_ids))

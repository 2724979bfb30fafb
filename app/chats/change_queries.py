"""SQL of which chats have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.chats.queries.views import CHAT_COLUMNS, CHAT_JOINS, LISTED, MY_CHATS, Row
from app.infra.db import Prepared, UnitOfWork


class ChangedChat(NamedTuple):
    """A chat of a person, its revision for that person, and whether it is in the person's list."""

    chat_id: int
    revision: int
    is_listed: bool


# After leaving, only the leaving itself is a change.
_REVISION = "CASE WHEN m.left_at IS NULL THEN GREATEST(c.revision, m.revision, s.revision) ELSE m.revision END"

# Opened by the other person, with nothing in it yet: nobody is told of that.
_NEVER_SHOWN = "m.left_at IS NULL AND s.hidden AND c.last_seq = 0 AND s.revision = m.revision"

_CHANGED = Prepared(
    "chats_changed",
    ("bigint", "bigint", "bigint", "integer", "bigint"),
    f"""
    SELECT m.chat_id, {_REVISION}, m.left_at IS NULL AND {LISTED}
    {MY_CHATS}
    WHERE m.user_id = $1 AND {_REVISION} > $2 AND {_REVISION} <= $3
      AND (m.left_at IS NULL AND {LISTED} OR {_REVISION} > $5 AND NOT ({_NEVER_SHOWN}))
    ORDER BY 2 LIMIT $4""",
)

_VIEWS = Prepared(
    "chats_changed_views",
    ("bigint", "bigint[]"),
    f"""
    SELECT {CHAT_COLUMNS}
    FROM unnest($2) WITH ORDINALITY AS k (chat_id, n)
    JOIN chat_members m ON m.chat_id = k.chat_id AND m.user_id = $1 AND m.left_at IS NULL
    JOIN chats c ON c.id = k.chat_id
    JOIN user_chat_states s ON s.user_id = $1 AND s.chat_id = k.chat_id
    {CHAT_JOINS}
    ORDER BY k.n""",
)


def changed(
    unit: UnitOfWork, user_id: int, after: int, up_to: int, limit: int, removed_after: int
) -> list[ChangedChat]:
    """A person's chats with a revision in (after, up_to], the least first.

    Of those that are left or out of the list, the ones with a revision past `removed_after`.
    """
    rows = _CHANGED.rows(unit.connection, user_id, after, up_to, limit, removed_after)
    return [ChangedChat(*row) for row in rows]


def views(unit: UnitOfWork, user_id: int, chat_ids: Sequence[int]) -> list[Row]:
    """The chats as the person sees them, in the order of the ids."""
    return _VIEWS.rows(unit.connection, user_id, list(chat_ids)) if chat_ids else []

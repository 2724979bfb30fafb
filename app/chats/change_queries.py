"""SQL of which chats have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.chats.queries.views import CHAT_COLUMNS, CHAT_JOINS, MY_CHATS, Row
from app.infra.db import Prepared, UnitOfWork


class ChangedChat(NamedTuple):
    """A chat of a person, its revision for that person, and whether it is in the person's list."""

    chat_id: int
    revision: int
    is_listed: bool


# After leaving, only the leaving itself is a change.
_REVISION = "CASE WHEN m.left_at IS NULL THEN GREATEST(c.revision, m.revision, s.revision) ELSE m.revision END"

_CHANGED = Prepared(
    "chats_changed",
    ("bigint", "bigint", "bigint", "integer"),
    f"""
    SELECT m.chat_id, {_REVISION}, m.left_at IS NULL AND (NOT s.hidden OR c.last_seq > s.cleared_seq)
    {MY_CHATS}
    WHERE m.user_id = $1 AND {_REVISION} > $2 AND {_REVISION} <= $3
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


def changed(unit: UnitOfWork, user_id: int, after: int, up_to: int, limit: int) -> list[ChangedChat]:
    """A person's chats, left ones too, with a revision in (after, up_to], the least first."""
    return [ChangedChat(*row) for row in _CHANGED.rows(unit.connection, user_id, after, up_to, limit)]


def views(unit: UnitOfWork, user_id: int, chat_ids: Sequence[int]) -> list[Row]:
    """The chats as the person sees them, in the order of the ids."""
    return _VIEWS.rows(unit.connection, user_id, list(chat_ids)) if chat_ids else []

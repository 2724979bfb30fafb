"""Who is blocked in direct chats."""

from __future__ import annotations

from app.infra.db import Prepared, UnitOfWork

_IS_BLOCKED = Prepared(
    "blocked_by_peer",
    ("bigint", "bigint"),
    """
    SELECT EXISTS (
      SELECT FROM chat_members o JOIN blocks b ON b.user_id = o.user_id AND b.blocked_id = $2
      WHERE o.chat_id = $1 AND o.user_id <> $2)""",
)


def is_blocked_by_peer(unit: UnitOfWork, chat_id: int, user_id: int) -> bool:
    """Whether the other side of a direct chat has blocked the person."""
    row = _IS_BLOCKED.row(unit.connection, chat_id, user_id)
    return row is not None and bool(row[0])

"""SQL about groups that two people share."""

from __future__ import annotations

from app.chats.queries.views import CHAT_COLUMNS, CHAT_JOINS, MY_CHATS, Row
from app.infra.db import Prepared, UnitOfWork

_LIST = Prepared(
    "common_groups",
    ("bigint", "bigint", "bigint", "integer"),
    f"""
    WITH page AS (
      SELECT c.id
      FROM chat_members v
      JOIN chat_members o ON o.chat_id = v.chat_id AND o.user_id = $2 AND o.left_at IS NULL
      JOIN chats c ON c.id = v.chat_id
      WHERE v.user_id = $1 AND v.left_at IS NULL AND c.type = 'group' AND ($3 IS NULL OR c.id < $3)
      ORDER BY c.id DESC
      LIMIT $4
    )
    SELECT {CHAT_COLUMNS}
    {MY_CHATS}
    {CHAT_JOINS}
    WHERE m.user_id = $1 AND m.chat_id IN (SELECT id FROM page)
    ORDER BY c.id DESC""",
)


def list_common(unit: UnitOfWork, viewer_id: int, user_id: int, before: int | None, limit: int) -> list[Row]:
    """Groups that both are in, as the viewer sees them, the newest first."""
    return _LIST.rows(unit.connection, viewer_id, user_id, before, limit)

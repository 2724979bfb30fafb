"""Who has blocked whom: in direct chats, and against being added."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork

# Who blocks somebody locks the own row first, in a way that waits for this and that this waits for.
_HOLD = text("SELECT 1 FROM users WHERE id = ANY (CAST(:user_ids AS bigint[])) ORDER BY id FOR SHARE")

_TAKES_NO_TYPING = Prepared(
    "takes_no_typing",
    ("bigint", "bigint"),
    """
    SELECT EXISTS (
      SELECT FROM chat_members o JOIN blocks b ON b.user_id = o.user_id AND b.blocked_id = $2
      WHERE o.chat_id = $1 AND o.user_id <> $2)
      OR EXISTS (
      SELECT FROM chat_members o JOIN blocks b ON b.user_id = $2 AND b.blocked_id = o.user_id
      WHERE o.chat_id = $1 AND o.user_id <> $2)
      OR EXISTS (
      SELECT FROM user_chat_states s JOIN chats c ON c.id = s.chat_id
      WHERE s.chat_id = $1 AND s.user_id <> $2 AND s.hidden AND c.last_seq <= s.cleared_seq)""",
)


def blocks_peer(chat: str, user_id: str) -> str:
    """SQL: whether the user blocks the other one of a direct chat; the arguments are SQL, `chat` a row of chats.

    OFFSET 0: both by their keys alone, also in a plan made while there were few blocks.
    """
    return f"""(
      {chat}.type = 'direct' AND EXISTS (
        SELECT FROM (
          SELECT user_id FROM chat_members WHERE chat_id = {chat}.id AND user_id <> {user_id} OFFSET 0) peer
        CROSS JOIN LATERAL (
          SELECT FROM blocks WHERE user_id = {user_id} AND blocked_id = peer.user_id OFFSET 0) blocked))"""


def hold_blocks(unit: UnitOfWork, user_ids: Sequence[int]) -> None:
    """Lets none of the people block anybody until the transaction ends; what they have just blocked is seen after.

    Comes before the lock of a chat: whoever comes or goes holds the same row while Redis is told.
    """
    unit.execute(_HOLD, {"user_ids": list(user_ids)})


def takes_no_typing(unit: UnitOfWork, chat_id: int, user_id: int) -> bool:
    """Whether one side of a direct chat has blocked the other, or the other side has the chat not in the list."""
    row = _TAKES_NO_TYPING.row(unit.connection, chat_id, user_id)
    return row is not None and bool(row[0])

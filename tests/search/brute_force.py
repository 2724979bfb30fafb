"""What a search must find, by looking at every message: as plainly as can be, with the same tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.infra.db import reading
from app.search.folding import fold
from app.search.tokens import tokens
from app.search.wanted import Sought, read

# Everything that the person is allowed to see, one condition after the other.
_VISIBLE = text("""
    SELECT x.id, x.chat_id, x.sender_id, x.message_type, x.text, x.created_at FROM messages x
    JOIN chat_members m ON m.chat_id = x.chat_id AND m.user_id = :user_id
    JOIN user_chat_states s ON s.chat_id = x.chat_id AND s.user_id = :user_id
    WHERE m.left_at IS NULL AND x.seq > m.history_from_seq AND x.seq > s.cleared_seq
      AND x.deleted_at IS NULL AND x.message_type <> 'service'
      AND NOT EXISTS (SELECT FROM message_hides h WHERE h.message_id = x.id AND h.user_id = :user_id)
    ORDER BY x.id DESC""")


def expected(
    user_id: int,
    typed: str,
    chat_id: int | None = None,
    sender_id: int | None = None,
    message_type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[int]:
    """The ids of all messages that a person must find, newest first."""
    terms = read(typed).terms
    if typed and not terms:
        return []
    with reading() as unit:
        rows: list[Any] = list(unit.execute(_VISIBLE, {"user_id": user_id}))
    return [
        row.id
        for row in rows
        if (chat_id is None or row.chat_id == chat_id)
        and (sender_id is None or row.sender_id == sender_id)
        and (message_type is None or row.message_type == message_type)
        and (since is None or row.created_at >= since)
        and (until is None or row.created_at < until)
        and all(has(row.text or "", term) for term in terms)
    ]


def has(message: str, term: list[Sought]) -> bool:
    """Whether the tokens of a term stand somewhere in a message, in their distances."""
    there = {(token.position, token.lexeme) for token in tokens(fold(message))}
    starts = {position for position, _ in there}
    return any(_stands(there, term, start) for start in starts)


def _stands(there: set[tuple[int, str]], term: list[Sought], place: int) -> bool:
    for sought in term:
        place += sought.distance
        at = [lexeme for position, lexeme in there if position == place]
        if not any(
            lexeme == sought.lexeme or (sought.is_beginning and lexeme.startswith(sought.lexeme)) for lexeme in at
        ):
            return False
    return True

"""Who is in a chat, as other domains ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork


class Membership(NamedTuple):
    """A present member's place in a chat."""

    chat_type: str
    role: str
    members_revision: int


_MEMBERSHIP = Prepared(
    "membership",
    ("bigint", "bigint"),
    """
    SELECT c.type, m.role, c.members_revision FROM chat_members m JOIN chats c ON c.id = m.chat_id
    WHERE m.chat_id = $1 AND m.user_id = $2 AND m.left_at IS NULL""",
)


def membership(unit: UnitOfWork, chat_id: int, user_id: int) -> Membership | None:
    """A person's membership; None for strangers and former members."""
    row = _MEMBERSHIP.row(unit.connection, chat_id, user_id)
    return None if row is None else Membership(*row)


def present_members(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int]) -> tuple[int, int, set[int]] | None:
    """The chat's members_revision, last seq, and which of the people are in it; None where the chat is gone."""
    row: Any = unit.execute(
        text("""
            SELECT c.members_revision, c.last_seq, ARRAY(
              SELECT m.user_id FROM chat_members m
              WHERE m.chat_id = c.id AND m.user_id = ANY (CAST(:user_ids AS bigint[])) AND m.left_at IS NULL)
            FROM chats c WHERE c.id = :chat_id"""),
        {"chat_id": chat_id, "user_ids": list(user_ids)},
    ).one_or_none()
    return None if row is None else (row[0], row[1], set(row[2]))

"""New chats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import text

from app.infra.db import UnitOfWork

_INSERT_CHAT = text("""
    INSERT INTO chats (type, name, description, direct_key, created_by, member_count, revision, members_revision)
    SELECT :type, :name, :description, :direct_key, :created_by, :member_count, r.revision, r.revision
    FROM (SELECT next_message_id() AS revision OFFSET 0) r
    ON CONFLICT (direct_key) DO NOTHING
    RETURNING id, revision""")

_INSERT_MEMBERS = text("""
    WITH people AS (SELECT unnest(CAST(:user_ids AS bigint[])) AS user_id ORDER BY 1),
    members AS (
      INSERT INTO chat_members (chat_id, user_id, role, revision)
      SELECT :chat_id, user_id, CASE WHEN user_id = :owner_id THEN 'owner' ELSE 'member' END, :revision FROM people)
    INSERT INTO user_chat_states (user_id, chat_id, hidden, revision)
    SELECT user_id, :chat_id, user_id = ANY (CAST(:hidden_for AS bigint[])), :revision FROM people""")


def insert_chat(unit: UnitOfWork, **columns: object) -> tuple[int, int] | None:
    """A new chat's id and revision; None where a direct chat of this `direct_key` exists already."""
    row = unit.execute(_INSERT_CHAT, columns).one_or_none()
    return None if row is None else (row.id, row.revision)


def insert_members(
    unit: UnitOfWork,
    chat_id: int,
    revision: int,
    user_ids: Sequence[int],
    owner_id: int | None,
    hidden_for: Sequence[int] = (),
) -> None:
    """Puts people into a new chat; it stays out of the lists of `hidden_for` until a message comes."""
    unit.execute(
        _INSERT_MEMBERS,
        {
            "chat_id": chat_id,
            "revision": revision,
            "user_ids": list(user_ids),
            "owner_id": owner_id,
            "hidden_for": list(hidden_for),
        },
    )


def find_direct_chat(unit: UnitOfWork, direct_key: str) -> int | None:
    """The id of the direct chat of a key such as `3:17`."""
    found: int | None = unit.execute(
        text("SELECT id FROM chats WHERE direct_key = :key"), {"key": direct_key}
    ).scalar_one_or_none()
    return found


def show(unit: UnitOfWork, user_id: int, chat_id: int) -> bool:
    """Brings a hidden chat back into a person's list; whether it was hidden."""
    shown = unit.execute(
        text(
            "UPDATE user_chat_states s SET hidden = false, revision = next_message_id(GREATEST(s.revision, c.revision))"
            " FROM chats c WHERE c.id = :chat_id AND s.user_id = :user_id AND s.chat_id = :chat_id AND s.hidden"
        ),
        {"user_id": user_id, "chat_id": chat_id},
    )
    return bool(shown.rowcount)


def people_for_chat(unit: UnitOfWork, user_ids: Sequence[int], creator_id: int) -> dict[int, bool]:
    """Which of the people exist, and for each whether they have blocked the creator."""
    rows: Iterable[Any] = unit.execute(
        text("""
            SELECT u.id, EXISTS (SELECT FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = :creator_id)
            FROM users u WHERE u.id = ANY (CAST(:user_ids AS bigint[])) AND u.deleted_at IS NULL"""),
        {"user_ids": list(user_ids), "creator_id": creator_id},
    )
    return {row[0]: row[1] for row in rows}

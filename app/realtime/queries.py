"""Every SQL statement of sockets and presence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from app.infra.db import UnitOfWork


class RoomState(NamedTuple):
    """What a hub knows of a chat: the revision of its membership and the seq of its last message."""

    members_revision: int
    last_seq: int


def room_states(unit: UnitOfWork, chat_ids: Sequence[int]) -> dict[int, RoomState]:
    """The state of each of the chats that exist."""
    rows: Iterable[Any] = unit.execute(
        text("SELECT id, members_revision, last_seq FROM chats WHERE id = ANY (CAST(:chat_ids AS bigint[]))"),
        {"chat_ids": list(chat_ids)},
    )
    return {row[0]: RoomState(row[1], row[2]) for row in rows}


def rooms_of_people(unit: UnitOfWork, user_ids: Sequence[int]) -> dict[int, dict[int, int]]:
    """The chats that each of the people is in, with the chats' members_revisions."""
    rows: Iterable[Any] = unit.execute(
        text("""
            SELECT m.user_id, array_agg(m.chat_id), array_agg(c.members_revision)
            FROM chat_members m JOIN chats c ON c.id = m.chat_id
            WHERE m.user_id = ANY (CAST(:user_ids AS bigint[])) AND m.left_at IS NULL GROUP BY m.user_id"""),
        {"user_ids": list(user_ids)},
    )
    return {row[0]: dict(zip(row[1], row[2], strict=True)) for row in rows}


def live_sessions(unit: UnitOfWork, session_ids: Sequence[str]) -> set[str]:
    """Those of the sessions that were not signed out."""
    rows = unit.execute(
        text("SELECT id FROM sessions WHERE id = ANY (CAST(:ids AS uuid[])) AND revoked_at IS NULL"),
        {"ids": list(session_ids)},
    )
    return {str(row[0]) for row in rows}


def presence_audience(unit: UnitOfWork, user_id: int) -> list[int]:
    """Who may see a person come and go: peers of direct chats, who has the person as a contact; nobody blocked.

    A chat counts from its first message on, and before that only where the person has it in the list: opening one must
    not be enough to follow a stranger.
    """
    rows = unit.execute(
        text("""
            (SELECT o.user_id FROM chat_members m
             JOIN chats c ON c.id = m.chat_id AND c.type = 'direct'
             JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
             JOIN chat_members o ON o.chat_id = m.chat_id AND o.user_id <> m.user_id
             WHERE m.user_id = :user_id AND (c.last_seq > 0 OR NOT s.hidden)
             UNION SELECT user_id FROM contacts WHERE contact_id = :user_id)
            EXCEPT SELECT blocked_id FROM blocks WHERE user_id = :user_id"""),
        {"user_id": user_id},
    )
    return [row[0] for row in rows]


def last_seen(unit: UnitOfWork, user_id: int, is_leaving: bool) -> datetime | None:
    """When a person was last seen (UTC); now, and kept, for one who goes offline.

    Locks the person's row, so that changes of presence are told in the order in which they are looked at.
    """
    statement = (
        "UPDATE users SET last_seen_at = now() WHERE id = :user_id RETURNING last_seen_at"
        if is_leaving
        else "SELECT last_seen_at FROM users WHERE id = :user_id FOR NO KEY UPDATE"
    )
    found: datetime | None = unit.execute(text(statement), {"user_id": user_id}).scalar_one_or_none()
    return found

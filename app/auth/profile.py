"""People as others see them: the columns to read and how a row is shown; shared with the domains above."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from typing_extensions import TypedDict

from app.infra import presence
from app.infra.times import Timestamp, rfc3339
from app.web.links import avatar_link


class User(TypedDict):
    """A person; `phone` is null unless it is your own, or you are in that person's contacts."""

    id: int
    first_name: str
    last_name: str | None
    username: str | None
    bio: str | None
    phone: str | None
    avatar_url: str | None
    status: Literal["online", "away", "offline"]
    last_seen_at: Timestamp | None
    created_at: Timestamp


class ProfileRow(NamedTuple):
    """The columns of a person, in the order of `profile_columns`; `phone` is already hidden where it must be."""

    id: int
    first_name: str
    last_name: str | None
    username: str | None
    bio: str | None
    phone: str | None
    last_seen_at: datetime | None
    created_at: datetime
    hides_presence: bool = False
    avatar_file_id: UUID | None = None


def profile_columns(users: str, viewer: str) -> str:
    """The SQL of the columns of ProfileRow: `users` is the table's alias, `viewer` the expression of who looks.

    OFFSET 0 keeps both look-ups by the whole key: a plan made while there are no blocks would read all blocks.
    """
    columns = ", ".join(f"{users}.{name}" for name in ("id", "first_name", "last_name", "username", "bio"))
    knows_viewer = f"SELECT FROM contacts k WHERE k.user_id = {users}.id AND k.contact_id = {viewer} OFFSET 0"
    blocks_viewer = f"SELECT FROM blocks b WHERE b.user_id = {users}.id AND b.blocked_id = {viewer} OFFSET 0"
    return (
        f"{columns}, CASE WHEN {users}.id = {viewer} OR EXISTS ({knows_viewer}) THEN {users}.phone END AS phone,"
        f" {users}.last_seen_at, {users}.created_at, EXISTS ({blocks_viewer}) AS hides_presence,"
        f" {users}.avatar_file_id"
    )


def present_users(rows: Sequence[Sequence[Any]]) -> list[User]:
    """Shows the people of rows that hold the columns of ProfileRow; asks for everybody's presence at once."""
    people = [ProfileRow._make(row) for row in rows]
    statuses = presence.statuses({person.id for person in people if not person.hides_presence})
    return [
        {
            "id": person.id,
            "first_name": person.first_name or "Deleted account",
            "last_name": person.last_name,
            "username": person.username,
            "bio": person.bio,
            "phone": person.phone,
            "avatar_url": avatar_link(person.avatar_file_id),
            "status": statuses.get(person.id, "offline"),
            "last_seen_at": None if person.hides_presence else rfc3339(person.last_seen_at),
            "created_at": rfc3339(person.created_at),
        }
        for person in people
    ]

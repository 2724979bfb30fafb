"""Every SQL statement about other people."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text

from app.auth.profile import ProfileRow, profile_columns
from app.infra.db import Prepared, UnitOfWork

_LOAD = Prepared(
    "users_load", ("bigint[]", "bigint"), f"SELECT {profile_columns('u', '$2')} FROM users u WHERE u.id = ANY ($1)"
)

_LIVING = text(
    f"SELECT {profile_columns('u', ':viewer_id')} FROM users u WHERE u.id = :user_id AND u.deleted_at IS NULL"
)

_SEARCH = text(f"""
    SELECT {profile_columns("u", ":viewer_id")} FROM users u
    WHERE u.deleted_at IS NULL AND u.id > :after
      AND (lower(u.username) LIKE lower(:username) OR lower(u.last_name) LIKE lower(:name)
           OR lower(concat_ws(' ', u.first_name, u.last_name)) LIKE lower(:name) OR u.phone = :phone)
    ORDER BY u.id
    LIMIT :limit
""")


def load(unit: UnitOfWork, user_ids: Collection[int], viewer_id: int) -> list[ProfileRow]:
    """The people of these ids as the viewer may see them, erased ones too, in no order."""
    return [ProfileRow._make(row) for row in _LOAD.rows(unit.connection, list(user_ids), viewer_id)]


def living(unit: UnitOfWork, user_id: int, viewer_id: int) -> ProfileRow | None:
    """One person as the viewer may see them; None for unknown and erased ones."""
    row = unit.execute(_LIVING, {"user_id": user_id, "viewer_id": viewer_id}).first()
    return None if row is None else ProfileRow._make(row)


def search(
    unit: UnitOfWork, beginning: str, phone: str | None, viewer_id: int, after: int, limit: int
) -> list[ProfileRow]:
    """People whose username, name or last name begins so, or who have the number; by id, past `after`."""
    name = _escaped(beginning) + "%"
    parameters = {
        "username": name.removeprefix("@") if name != "@%" else name,
        "name": name,
        "phone": phone,
        "viewer_id": viewer_id,
        "after": after,
        "limit": limit,
    }
    return [ProfileRow._make(row) for row in unit.execute(_SEARCH, parameters)]


def _escaped(words: str) -> str:
    """The words without any meaning to LIKE."""
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

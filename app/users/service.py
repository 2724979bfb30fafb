"""Finding and showing people."""

from __future__ import annotations

from collections.abc import Collection

from app.auth import phones
from app.auth.profile import User, present_users
from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.users import queries
from app.web.pagination import ItemPage, decode_cursor, encode_cursor

__all__ = ["find_users", "get_user", "load_users", "present_users"]


def get_user(unit: UnitOfWork, viewer_id: int, user_id: int) -> User:
    """A person as the viewer sees them; raises NotFound for unknown and erased ones."""
    row = queries.living(unit, user_id, viewer_id)
    if row is None:
        raise NotFound("There is no such person.")
    return present_users([row])[0]


def load_users(unit: UnitOfWork, viewer_id: int, user_ids: Collection[int]) -> dict[int, User]:
    """People by id, in one statement; unknown ids are left out, erased accounts are shown as such."""
    if not user_ids:
        return {}
    return {user["id"]: user for user in present_users(queries.load(unit, user_ids, viewer_id))}


def find_users(unit: UnitOfWork, viewer_id: int, words: str, limit: int, cursor: str | None) -> ItemPage[User]:
    """People whose username or name begins with the words, or whose whole phone number they are."""
    after = int(decode_cursor(cursor, int)[0]) if cursor else 0
    rows = queries.search(unit, words, _phone(words), viewer_id, after, limit + 1)
    more = len(rows) > limit
    return {
        "items": present_users(rows[:limit]),
        "next_cursor": encode_cursor(rows[limit - 1].id) if more else None,
    }


def _phone(words: str) -> str | None:
    try:
        return phones.normalized(words)
    except ValueError:
        return None

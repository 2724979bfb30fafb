"""Finding and showing people."""

from __future__ import annotations

import re
from collections.abc import Collection

from app.auth import names, phones
from app.auth.profile import User, present_users
from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.users import queries
from app.web.pagination import ItemPage, decode_cursor, encode_cursor

__all__ = ["find_users", "get_user", "load_users", "present_users", "require_user"]

# Each word is a look-up of its own: who matches that many is who was meant.
_MOST_WORDS = 5
_USERNAME = re.compile(r"[a-z0-9_]+")
_BEFORE_ALL = queries.SearchPosition(-1, 0)


def get_user(unit: UnitOfWork, viewer_id: int, user_id: int) -> User:
    """A person as the viewer sees them; raises NotFound for unknown and erased ones."""
    row = queries.living(unit, user_id, viewer_id)
    if row is None:
        raise NotFound("There is no such person.")
    return present_users([row])[0]


def require_user(unit: UnitOfWork, user_id: int) -> None:
    """Raises NotFound for unknown and erased people."""
    if not queries.is_living(unit, user_id):
        raise NotFound("There is no such person.")


def load_users(unit: UnitOfWork, viewer_id: int, user_ids: Collection[int]) -> dict[int, User]:
    """People by id, in one statement; unknown ids are left out, erased accounts are shown as such."""
    if not user_ids:
        return {}
    return {user["id"]: user for user in present_users(queries.load(unit, user_ids, viewer_id))}


def find_users(unit: UnitOfWork, viewer_id: int, given: str, limit: int, cursor: str | None) -> ItemPage[User]:
    """People of whose names or username the words are beginnings, or whose whole phone number it is.

    After `@` only usernames count. Whose username it is exactly comes first, then the viewer's contacts, then others.
    """
    after = _BEFORE_ALL
    if cursor is not None:
        rank, user_id = decode_cursor(cursor, int, int)
        # Ranks fit a smaller type than what a cursor may hold.
        after = queries.SearchPosition(min(max(int(rank), -1), 2), int(user_id))
    found = queries.search(unit, _wanted(given), viewer_id, after, limit + 1)
    page = found[:limit]
    return {
        "items": present_users([row for row, _ in page]),
        "next_cursor": encode_cursor(*page[-1][1]) if len(found) > limit else None,
    }


def _wanted(given: str) -> queries.Wanted:
    name = given.removeprefix("@").lower()
    username = name if _USERNAME.fullmatch(name) else None
    if given.startswith("@"):
        return queries.Wanted([], username, username, None)
    words = sorted(names.words(given), key=len, reverse=True)[:_MOST_WORDS]
    return queries.Wanted(words, None, username, _phone(given))


def _phone(given: str) -> str | None:
    try:
        return phones.normalized(given)
    except ValueError:
        return None

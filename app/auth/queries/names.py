"""The index of people's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from app.infra.db import UnitOfWork


class Names(NamedTuple):
    """What a person is called."""

    user_id: int
    first_name: str
    last_name: str | None
    username: str | None


_LOCK = text("""
    SELECT id, first_name, last_name, username FROM users WHERE id = ANY (:user_ids) ORDER BY id FOR NO KEY UPDATE""")

# What stays is left alone: a row that were deleted and inserted in one statement would be gone.
_STORE = text("""
    WITH sorted AS (
      UPDATE users u SET sort_name = n.sort_name
      FROM unnest(CAST(:user_ids AS bigint[]), CAST(:sort_names AS text[])) AS n (user_id, sort_name)
      WHERE u.id = n.user_id AND u.sort_name <> n.sort_name
    ), given AS (
      SELECT * FROM unnest(CAST(:words AS text[]), CAST(:owners AS bigint[])) AS g (word, user_id)
    ), gone AS (
      DELETE FROM user_names o WHERE o.user_id = ANY (CAST(:user_ids AS bigint[]))
        AND NOT EXISTS (SELECT FROM given g WHERE g.word = o.word AND g.user_id = o.user_id))
    INSERT INTO user_names (word, user_id) SELECT word, user_id FROM given ON CONFLICT DO NOTHING""")


def lock(unit: UnitOfWork, user_ids: Sequence[int]) -> list[Names]:
    """What people are called, who keep these names until the transaction ends."""
    rows: Iterable[Any] = unit.execute(_LOCK, {"user_ids": list(user_ids)})
    return [Names._make(row) for row in rows]


def store(unit: UnitOfWork, sort_names: dict[int, str], words: Sequence[tuple[str, int]]) -> None:
    """Replaces the words of people, given as (word, person), and what people are sorted by."""
    unit.execute(
        _STORE,
        {
            "user_ids": list(sort_names),
            "sort_names": list(sort_names.values()),
            "words": [word for word, _ in words],
            "owners": [user_id for _, user_id in words],
        },
    )

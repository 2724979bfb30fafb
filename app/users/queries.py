"""Every SQL statement about other people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text

from app.auth.profile import ProfileRow, profile_columns
from app.infra.db import Prepared, UnitOfWork

_LOAD = Prepared(
    "users_load", ("bigint[]", "bigint"), f"SELECT {profile_columns('u', '$2')} FROM users u WHERE u.id = ANY ($1)"
)

_LIVING = text(
    f"SELECT {profile_columns('u', ':viewer_id')} FROM users u WHERE u.id = :user_id AND u.deleted_at IS NULL"
)

_IS_LIVING = text("SELECT EXISTS (SELECT FROM users WHERE id = :user_id AND deleted_at IS NULL)")

# What a search may read does not grow with the number of people: of those of whom one word is true it is the first
# MOST_CANDIDATES by that word, and the viewer's contacts. The other words are looked up for these, and only who is on
# the page is read. The bound is a parameter, because a planner that knows it reads all matches where it expects fewer.
# An end is the beginning followed by the last character that there is.
MOST_CANDIDATES = 10_000
_SEARCH = Prepared(
    "users_search",
    (
        "text",
        "text",
        "text[]",
        "text[]",
        "text",
        "text",
        "text",
        "text",
        "bigint",
        "integer",
        "bigint",
        "integer",
        "integer",
    ),
    f"""
    WITH named AS (SELECT id FROM users WHERE lower(username) = $7),
    candidates AS (
      (SELECT user_id FROM user_names WHERE word >= $1 AND word < $2 ORDER BY word, user_id LIMIT $13)
      UNION
      SELECT k.contact_id FROM contacts k
      CROSS JOIN LATERAL (
        SELECT FROM user_names n WHERE n.user_id = k.contact_id AND n.word >= $1 AND n.word < $2 LIMIT 1) n
      WHERE k.user_id = $9
    ), matching AS (
      SELECT user_id FROM candidates c
      WHERE NOT EXISTS (
        SELECT FROM unnest($3, $4) AS w (beginning, ending)
        WHERE NOT EXISTS (
          SELECT FROM user_names n WHERE n.user_id = c.user_id AND n.word >= w.beginning AND n.word < w.ending
          OFFSET 0))
      UNION
      (SELECT id FROM users WHERE lower(username) ~>=~ $5 AND lower(username) ~<~ $6
       ORDER BY lower(username) USING ~<~ LIMIT $13)
      UNION SELECT id FROM users WHERE phone = $8
      UNION SELECT id FROM named
    ), ranked AS MATERIALIZED (
      SELECT user_id, CASE
        WHEN user_id = (SELECT id FROM named) THEN 0
        WHEN user_id IN (SELECT contact_id FROM contacts WHERE user_id = $9) THEN 1
        ELSE 2 END AS rank
      FROM matching
    )
    SELECT p.*, r.rank
    FROM (SELECT * FROM ranked WHERE (rank, user_id) > ($10, $11) ORDER BY rank, user_id OFFSET 0) r
    CROSS JOIN LATERAL (
      SELECT {profile_columns("u", "$9")} FROM users u WHERE u.id = r.user_id AND u.deleted_at IS NULL OFFSET 0) p
    ORDER BY r.rank, r.user_id
    LIMIT $12""",
)
_LAST_CHARACTER = "\U0010ffff"


class Wanted(NamedTuple):
    """Whom to find, in any of these ways."""

    words: Sequence[str]
    """Folded words: all of them begin names of the person, or the username. The first one is looked for first."""
    username_beginning: str | None
    username: str | None
    """In lower case, whole: whose it is comes first."""
    phone: str | None


class SearchPosition(NamedTuple):
    """Where a page of found people begins: after this one."""

    rank: int
    user_id: int


def load(unit: UnitOfWork, user_ids: Collection[int], viewer_id: int) -> list[ProfileRow]:
    """The people of these ids as the viewer may see them, erased ones too, in no order."""
    return [ProfileRow._make(row) for row in _LOAD.rows(unit.connection, list(user_ids), viewer_id)]


def living(unit: UnitOfWork, user_id: int, viewer_id: int) -> ProfileRow | None:
    """One person as the viewer may see them; None for unknown and erased ones."""
    row = unit.execute(_LIVING, {"user_id": user_id, "viewer_id": viewer_id}).first()
    return None if row is None else ProfileRow._make(row)


def is_living(unit: UnitOfWork, user_id: int) -> bool:
    """Whether there is such a person, not erased."""
    return bool(unit.execute(_IS_LIVING, {"user_id": user_id}).scalar_one())


def search(
    unit: UnitOfWork, wanted: Wanted, viewer_id: int, after: SearchPosition, limit: int
) -> list[tuple[ProfileRow, SearchPosition]]:
    """People past a position: the owner of the username, then the viewer's contacts, then others; each by id."""
    parameters = search_parameters(wanted, viewer_id, after, limit)
    return [
        (ProfileRow._make(row[:-1]), SearchPosition(row[-1], row[0]))
        for row in _SEARCH.rows(unit.connection, *parameters)
    ]


def search_parameters(wanted: Wanted, viewer_id: int, after: SearchPosition, limit: int) -> tuple[object, ...]:
    """The parameters of the search's statement."""
    first, others = wanted.words[:1], wanted.words[1:]
    return (
        *_range(first[0] if first else None),
        list(others),
        [_range(word)[1] for word in others],
        *_range(wanted.username_beginning),
        wanted.username,
        wanted.phone,
        viewer_id,
        *after,
        limit,
        MOST_CANDIDATES,
    )


def _range(beginning: str | None) -> tuple[str | None, str | None]:
    """The least of all texts that begin so, and the least past them."""
    return beginning, None if beginning is None else beginning + _LAST_CHARACTER

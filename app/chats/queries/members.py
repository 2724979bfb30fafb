"""Who is in a chat: listed, admitted, removed, given roles. All that writes is for a chat whose row is locked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.profile import ProfileRow, profile_columns
from app.infra.db import Prepared, UnitOfWork


class MemberRow(NamedTuple):
    """A present member; `rank` sorts the owner before admins before the others."""

    rank: int
    role: str
    joined_at: datetime
    person: ProfileRow


class Place(NamedTuple):
    """Where a page of members begins: after the member with this rank and id."""

    rank: int = -1
    user_id: int = 0


_RANK = "CASE m.role WHEN 'owner' THEN 0 WHEN 'admin' THEN 1 ELSE 2 END"

# Two walks along keys, so that a page costs the same in a chat of any size. Bounds on (chat_id, user_id) in place of
# `chat_id = $1` keep the planner off the index of user_id, along which the members of a quiet chat are far apart.
_PAGE = Prepared(
    "members_page",
    ("bigint", "bigint", "integer", "bigint", "integer"),
    f"""
    SELECT p.rank, p.role, p.joined_at, {profile_columns("u", "$2")}
    FROM (
      (SELECT {_RANK} AS rank, m.role, m.joined_at, m.user_id FROM chat_members m
       WHERE m.chat_id = $1 AND m.role <> 'member' AND m.left_at IS NULL AND ({_RANK}, m.user_id) > ($3, $4)
       ORDER BY 1, m.user_id LIMIT $5)
      UNION ALL
      (SELECT 2, m.role, m.joined_at, m.user_id FROM chat_members m
       WHERE (m.chat_id, m.user_id) > ($1, CASE WHEN $3 = 2 THEN $4 ELSE 0 END) AND (m.chat_id, m.user_id) < ($1 + 1, 0)
         AND m.role = 'member' AND m.left_at IS NULL
       ORDER BY m.chat_id, m.user_id LIMIT $5)
      ORDER BY 1, 4 LIMIT $5
    ) p JOIN users u ON u.id = p.user_id
    ORDER BY p.rank, p.user_id""",
)

_ONE = text(f"""
    SELECT {_RANK}, m.role, m.joined_at, {profile_columns("u", ":viewer_id")}
    FROM chat_members m JOIN users u ON u.id = m.user_id
    WHERE m.chat_id = :chat_id AND m.user_id = :user_id AND m.left_at IS NULL""")

_IDS = text("""
    SELECT user_id FROM chat_members
    WHERE (chat_id, user_id) > (:chat_id, :after) AND (chat_id, user_id) < (:chat_id + 1, 0) AND left_at IS NULL
    ORDER BY chat_id, user_id LIMIT :limit""")


def page(unit: UnitOfWork, chat_id: int, viewer_id: int, after: Place, limit: int) -> list[MemberRow]:
    """Members as the viewer may see them, the owner and admins first, then by id."""
    return [_member(row) for row in _PAGE.rows(unit.connection, chat_id, viewer_id, *after, limit)]


def member(unit: UnitOfWork, chat_id: int, viewer_id: int, user_id: int) -> MemberRow | None:
    """One present member as the viewer may see them."""
    row = unit.execute(_ONE, {"chat_id": chat_id, "viewer_id": viewer_id, "user_id": user_id}).one_or_none()
    return None if row is None else _member(tuple(row))


def _member(row: tuple[Any, ...]) -> MemberRow:
    return MemberRow(row[0], row[1], row[2], ProfileRow._make(row[3:]))


def ids(unit: UnitOfWork, chat_id: int, after_user_id: int, limit: int) -> list[int]:
    """The next members' ids, by id."""
    return list(unit.execute(_IDS, {"chat_id": chat_id, "after": after_user_id, "limit": limit}).scalars())


class Candidate(NamedTuple):
    """A person whom somebody wants to add."""

    user_id: int
    blocks_adder: bool
    is_member: bool
    is_banned: bool


_CANDIDATES = text("""
    SELECT u.id, EXISTS (SELECT FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = :adder_id),
      m.user_id IS NOT NULL AND m.left_at IS NULL, coalesce(m.banned_until > now(), false)
    FROM users u LEFT JOIN chat_members m ON m.chat_id = :chat_id AND m.user_id = u.id
    WHERE u.id = ANY (CAST(:user_ids AS bigint[])) AND u.deleted_at IS NULL
    ORDER BY u.id""")

# Who comes (again) has read everything up to now, and nothing of it counts. What was cleared before stays cleared.
# Nobody will read what was written while its author was alone, unless marks of who has just left wait for a worker.
_ADMIT = text("""
    WITH people AS (SELECT unnest(CAST(:user_ids AS bigint[])) AS user_id), members AS (
      INSERT INTO chat_members (chat_id, user_id, revision)
      SELECT :chat_id, user_id, :revision FROM people ORDER BY user_id
      ON CONFLICT (chat_id, user_id) DO UPDATE SET role = 'member', joined_at = now(), left_at = NULL,
        banned_until = NULL, revision = excluded.revision
    ), counted AS (
      UPDATE chats SET member_count = member_count + cardinality(CAST(:user_ids AS bigint[])),
        delivered_seq = CASE WHEN a.is_alone THEN last_seq ELSE delivered_seq END,
        read_seq = CASE WHEN a.is_alone THEN last_seq ELSE read_seq END
      FROM (
        SELECT member_count = 1 AND NOT EXISTS (
          SELECT FROM receipt_queue q WHERE q.chat_id = :chat_id) AS is_alone
        FROM chats WHERE id = :chat_id OFFSET 0) a
      WHERE id = :chat_id RETURNING last_seq, last_message_id
    )
    INSERT INTO user_chat_states
      (user_id, chat_id, counted_seq, last_read_seq, last_read_message_id, last_delivered_seq, revision)
    SELECT p.user_id, :chat_id, c.last_seq, c.last_seq, c.last_message_id, c.last_seq, :revision
    FROM people p CROSS JOIN counted c ORDER BY p.user_id
    ON CONFLICT (user_id, chat_id) DO UPDATE SET unread_count = 0, counted_seq = excluded.counted_seq,
      last_read_seq = excluded.last_read_seq, last_read_message_id = excluded.last_read_message_id,
      last_delivered_seq = excluded.last_delivered_seq, is_pinned = false, hidden = false,
      revision = excluded.revision""")


def candidates(unit: UnitOfWork, chat_id: int, adder_id: int, user_ids: Sequence[int]) -> list[Candidate]:
    """Those of the people who exist, and what stands against adding them."""
    parameters = {"chat_id": chat_id, "adder_id": adder_id, "user_ids": list(user_ids)}
    rows: Iterable[Any] = unit.execute(_CANDIDATES, parameters)
    return [Candidate._make(row) for row in rows]


def admit(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int], revision: int) -> None:
    """Puts people into the chat who are not in it."""
    unit.execute(_ADMIT, {"chat_id": chat_id, "user_ids": list(user_ids), "revision": revision})


_HOLD_STATE = text("""
    SELECT revision FROM user_chat_states WHERE chat_id = :chat_id AND user_id = :user_id FOR NO KEY UPDATE""")

# Only the present have roles: an owner or admin who comes back is a member.
_REMOVE = text("""
    WITH gone AS (
      UPDATE chat_members SET left_at = now(), role = 'member', revision = :revision,
        banned_until = CASE WHEN :is_banned THEN CAST('infinity' AS timestamptz) ELSE banned_until END
      WHERE chat_id = :chat_id AND user_id = :user_id AND left_at IS NULL RETURNING user_id)
    UPDATE chats SET member_count = member_count - (SELECT count(*) FROM gone) WHERE id = :chat_id""")

_SET_ROLES = text("""
    UPDATE chat_members m SET role = g.role, revision = :revision
    FROM unnest(CAST(:user_ids AS bigint[]), CAST(:roles AS text[])) AS g (user_id, role)
    WHERE m.chat_id = :chat_id AND m.user_id = g.user_id AND m.left_at IS NULL""")


def hold_state(unit: UnitOfWork, chat_id: int, user_id: int) -> int:
    """The revision of what the member has set for oneself, which does not change until the transaction ends."""
    revision: int = unit.execute(_HOLD_STATE, {"chat_id": chat_id, "user_id": user_id}).scalar_one()
    return revision


def remove(unit: UnitOfWork, chat_id: int, user_id: int, revision: int, is_banned: bool) -> None:
    """Takes a member out; a banned one cannot come back unless brought by the owner or an admin."""
    parameters = {"chat_id": chat_id, "user_id": user_id, "revision": revision, "is_banned": is_banned}
    unit.execute(_REMOVE, parameters)


def set_roles(unit: UnitOfWork, chat_id: int, roles: Mapping[int, str], revision: int) -> None:
    """Gives members their roles."""
    parameters = {"chat_id": chat_id, "user_ids": list(roles), "roles": list(roles.values()), "revision": revision}
    unit.execute(_SET_ROLES, parameters)

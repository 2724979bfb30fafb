"""Every SQL statement of sockets and presence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork


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


class Audience(NamedTuple):
    """A page of those who may see a person, and where there may be more the id after which they come."""

    viewers: list[int]
    last: int | None


# A chat counts from its first message on, and before that only where the person has it in the list: opening one must
# not be enough to follow a stranger. OFFSET 0: the peers are found by the person's chats, not by walking all people,
# and each state by its whole key, or those of somebody with thousands of chats would be compared each with each.
_AUDIENCES = Prepared(
    "presence_audiences",
    ("bigint[]", "bigint[]", "integer"),
    """
    SELECT u.id, p.viewers, p.last
    FROM unnest($1, $2) AS u (id, after)
    CROSS JOIN LATERAL (
      WITH page AS MATERIALIZED (
        (SELECT peers.user_id FROM (
           SELECT o.user_id FROM chat_members m
           JOIN chats c ON c.id = m.chat_id AND c.type = 'direct'
           CROSS JOIN LATERAL (
             SELECT hidden FROM user_chat_states WHERE user_id = m.user_id AND chat_id = m.chat_id OFFSET 0) s
           CROSS JOIN LATERAL (
             SELECT user_id FROM chat_members WHERE chat_id = m.chat_id AND user_id <> m.user_id OFFSET 0) o
           WHERE m.user_id = u.id AND (c.last_seq > 0 OR NOT s.hidden) AND o.user_id > u.after
           OFFSET 0) peers
         ORDER BY peers.user_id LIMIT $3)
        UNION
        (SELECT k.user_id FROM contacts k WHERE k.contact_id = u.id AND k.user_id > u.after
         ORDER BY k.user_id LIMIT $3)
        ORDER BY user_id LIMIT $3)
      SELECT
        ARRAY(SELECT user_id FROM page EXCEPT SELECT blocked_id FROM blocks WHERE user_id = u.id) AS viewers,
        (SELECT CASE WHEN count(*) = $3 THEN max(user_id) END FROM page) AS last) p""",
)
_AUDIENCE_PAGE = 1000


def presence_audiences(unit: UnitOfWork, after: Mapping[int, int]) -> dict[int, Audience]:
    """Who may see each person come and go, past the viewer that `after` has for the person; at most 1,000 of each.

    These are peers of direct chats and who has the person as a contact; nobody blocked.
    """
    rows = _AUDIENCES.rows(unit.connection, list(after), list(after.values()), _AUDIENCE_PAGE)
    return {user_id: Audience(viewers, last) for user_id, viewers, last in rows}


_HOLD = Prepared(
    "presence_hold",
    ("bigint[]",),
    "SELECT id, last_seen_at FROM users WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
)
_LEAVE = Prepared(
    "presence_leave",
    ("bigint[]", "double precision[]"),
    """
    UPDATE users u SET last_seen_at = GREATEST(u.last_seen_at, now() - make_interval(secs => l.seconds_ago))
    FROM unnest($1, $2) AS l (id, seconds_ago) WHERE u.id = l.id RETURNING u.id, u.last_seen_at""",
)


def last_seen(unit: UnitOfWork, user_ids: Sequence[int], leaving: Mapping[int, float]) -> dict[int, datetime | None]:
    """When each of the people was last seen (UTC); for those `leaving` that is so many seconds ago, and is kept.

    Locks their rows, so that changes of presence are told in the order in which they are looked at.
    """
    found: dict[int, datetime | None] = dict(_HOLD.rows(unit.connection, list(user_ids)))
    if leaving:
        found.update(_LEAVE.rows(unit.connection, list(leaving), list(leaving.values())))
    return found

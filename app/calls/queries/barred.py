"""SQL of who has no business in a call any more, and of who is to be taken out of LiveKit's room."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from app.calls.queries.reading import IS_MEMBER
from app.infra.db import Prepared, UnitOfWork

# Each question is asked for one participant by its keys, and so it stays (`OFFSET 0`), whatever PostgreSQL expects.
_BARRED_SQL = f"""
    SELECT p.call_id, p.user_id
    FROM (SELECT call_id, user_id, session_id FROM call_participants WHERE left_at IS NULL {{condition}} OFFSET 0) p
    CROSS JOIN LATERAL (
      SELECT chat_id, callee_id, started_at,
        CASE WHEN p.user_id = caller_id THEN callee_id ELSE caller_id END AS other_id
      FROM calls WHERE id = p.call_id OFFSET 0) c
    WHERE
      p.session_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM (SELECT revoked_at FROM sessions WHERE id = p.session_id OFFSET 0) s WHERE s.revoked_at IS NULL)
      OR (SELECT deleted_at IS NOT NULL FROM users WHERE id = p.user_id)
      OR c.callee_id IS NULL AND NOT EXISTS ({IS_MEMBER})
      OR c.callee_id IS NOT NULL AND EXISTS (
        SELECT FROM blocks b
        WHERE b.user_id = p.user_id AND b.blocked_id = c.other_id AND b.created_at > c.started_at OFFSET 0)
    ORDER BY p.call_id, p.user_id LIMIT $1"""
_BARRED = Prepared("call_barred", ("integer",), _BARRED_SQL.format(condition=""))
_BARRED_OF = Prepared("call_barred_of", ("integer", "bigint[]"), _BARRED_SQL.format(condition="AND user_id = ANY ($2)"))

# Who left a call and then the group, or signed the device out, may still hold a token, or be in the room with one; the
# latest calls tell.
_BAR_FROM_ROOMS = text(f"""
    UPDATE call_participants SET exit_due = clock_timestamp()
    FROM (
      SELECT p.call_id, p.user_id
      FROM (SELECT call_id, user_id, session_id, left_at FROM call_participants
            WHERE user_id = :user_id AND left_at IS NOT NULL ORDER BY call_id DESC LIMIT 100) p
      CROSS JOIN LATERAL (SELECT chat_id, callee_id, state FROM calls WHERE id = p.call_id OFFSET 0) c
      WHERE c.callee_id IS NULL
        AND (NOT EXISTS ({IS_MEMBER}) OR (SELECT revoked_at IS NOT NULL FROM sessions WHERE id = p.session_id))
        AND (c.state = 'active' OR p.left_at > clock_timestamp() - make_interval(secs => :seconds))) found
    WHERE call_participants.call_id = found.call_id AND call_participants.user_id = found.user_id""")

# Taking a row puts it off: if this process dies, or LiveKit is away, it is due again by then. A day later whoever has
# not been let in since is not in the room any more, or LiveKit is gone for good. Who is in the call is not due at all,
# whatever a process of a version before this column has left there.
_TAKE_EXIT = text("""
    UPDATE call_participants p
    SET exit_due = CASE WHEN p.left_at > clock_timestamp() - interval '1 day'
                   THEN clock_timestamp() + make_interval(secs => :pause) END
    FROM (
      SELECT call_id, user_id FROM call_participants WHERE exit_due <= clock_timestamp()
      ORDER BY exit_due LIMIT 1 FOR UPDATE SKIP LOCKED) due
    WHERE p.call_id = due.call_id AND p.user_id = due.user_id
    RETURNING p.call_id, p.user_id, p.left_at IS NOT NULL AS has_left""")

# Tokens cannot be taken back: who may not join again is taken out until the last one is over. Who is due by now has
# come back and left since.
_SETTLE_EXIT = text("""
    UPDATE call_participants p
    SET exit_due = CASE WHEN r.lost_at IS NOT NULL
                     AND GREATEST(p.left_at, r.lost_at) > clock_timestamp() - make_interval(secs => :seconds)
                   THEN clock_timestamp() + make_interval(secs => :pause) END
    FROM (
      SELECT s.lost_at FROM call_participants q
      CROSS JOIN LATERAL (
        SELECT max(at) AS lost_at FROM (
          SELECT m.left_at AS at FROM calls c CROSS JOIN LATERAL (
            SELECT left_at FROM chat_members WHERE chat_id = c.chat_id AND user_id = q.user_id OFFSET 0) m
          WHERE c.id = q.call_id
          UNION ALL SELECT revoked_at FROM sessions WHERE id = q.session_id) ends) s
      WHERE q.call_id = :call_id AND q.user_id = :user_id) r
    WHERE p.call_id = :call_id AND p.user_id = :user_id AND p.left_at IS NOT NULL AND p.exit_due > clock_timestamp()""")


def barred(unit: UnitOfWork, limit: int, user_ids: Sequence[int] | None = None) -> list[tuple[int, int]]:
    """Calls and who of their people, among these where some are named, has no business there any more.

    Their device was signed out, they have blocked the other one since, are out of the group, or are erased.
    """
    if user_ids is None:
        rows = _BARRED.rows(unit.connection, limit)
    else:
        rows = _BARRED_OF.rows(unit.connection, limit, list(user_ids))
    return [(row[0], row[1]) for row in rows]


def bar_from_rooms(unit: UnitOfWork, user_id: int, seconds: int) -> None:
    """Has a person, who may hold a token of the last `seconds`, taken out of the rooms of groups that are left."""
    unit.execute(_BAR_FROM_ROOMS, {"user_id": user_id, "seconds": seconds})


def take_exit(unit: UnitOfWork, pause: int) -> tuple[int, int] | None:
    """Who is to be taken out of the room of which call now; due again in `pause` seconds, unless settled.

    None where nobody is.
    """
    while (row := unit.execute(_TAKE_EXIT, {"pause": pause}).one_or_none()) is not None:
        if row.has_left:
            return row.call_id, row.user_id
    return None


def settle_exit(unit: UnitOfWork, call_id: int, user_id: int, seconds: int, pause: int) -> None:
    """Notes that somebody is out of a room.

    Who lost the right to be there less than `seconds` ago may have a token, and is due again in `pause` seconds.
    """
    parameters = {"call_id": call_id, "user_id": user_id, "seconds": seconds, "pause": pause}
    unit.execute(_SETTLE_EXIT, parameters)

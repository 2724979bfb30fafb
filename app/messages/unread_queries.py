"""Every SQL statement of the unread fan-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text

from app.chats.unread import COUNTED
from app.infra.db import Prepared, UnitOfWork


class Progress(NamedTuple):
    """How far a chat has come, how far its members are counted, and whether deleted messages are still in counts."""

    chat_id: int
    last_seq: int
    fanned_out_seq: int
    member_count: int
    has_removals: bool


class State(NamedTuple):
    """The key of one member's state."""

    chat_id: int
    user_id: int


class Unread(NamedTuple):
    """A member's new count of unread messages.

    `revision` is drawn while the state is held and is past the state's own: of two counts of one state the later one
    has the higher. It is stored nowhere, since a count that moves by itself is nothing to sync.
    """

    chat_id: int
    user_id: int
    unread_count: int
    revision: int


class Difference(NamedTuple):
    """A member whose count is not what a recount gives."""

    chat_id: int
    user_id: int
    unread_count: int
    recount: int


_PROGRESS = Prepared(
    "unread_progress",
    ("bigint[]",),
    """
    SELECT * FROM (
      SELECT c.id, c.last_seq, c.fanned_out_seq, c.member_count,
        EXISTS (SELECT FROM unread_removals w WHERE w.chat_id = c.id) AS has_removals
      FROM chats c WHERE c.id = ANY ($1) OFFSET 0) p
    WHERE last_seq > fanned_out_seq OR has_removals ORDER BY id""",
)

# Whoever locks more than one state does so in the order of (chat_id, user_id): no deadlocks.
_LOCK_CHATS = Prepared(
    "unread_lock_chats",
    ("bigint[]", "bigint[]"),
    """
    SELECT s.chat_id, s.user_id
    FROM unnest($1, $2) AS t (chat_id, target)
    JOIN chat_members m ON m.chat_id = t.chat_id AND m.left_at IS NULL
    JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id AND s.counted_seq < t.target
    ORDER BY s.chat_id, s.user_id
    FOR NO KEY UPDATE OF s""",
)

# One large chat, walked along the key of its members. Bounds on (chat_id, user_id) in place of `chat_id = $1` keep the
# planner off the index of user_id, along which the members of one chat are far apart.
_LOCK_PART = Prepared(
    "unread_lock_part",
    ("bigint", "bigint", "bigint", "integer"),
    """
    SELECT m.chat_id, m.user_id
    FROM chat_members m JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
    WHERE (m.chat_id, m.user_id) > ($1, $3) AND (m.chat_id, m.user_id) < ($1 + 1, 0) AND m.left_at IS NULL
      AND s.counted_seq < $2
    ORDER BY m.chat_id, m.user_id LIMIT $4
    FOR NO KEY UPDATE OF s""",
)

# A member's share is (all that is unread past the member's place) - (what of it is not for that member: own messages,
# and those deleted for oneself). Members stand at few different places, so the first is a running count along each
# chat's places and messages together, newest first: one sort instead of a look at the messages for each member. A
# message at a place is counted there: `is_place DESC`. Messages that wait in `unread_removals` are counted like others
# for members whom the worker that takes them out has yet to come to.
_COUNT = Prepared(
    "unread_count",
    ("bigint[]", "bigint[]", "bigint[]", "bigint[]"),
    """
    WITH behind AS MATERIALIZED (
      SELECT s.chat_id, s.user_id, t.target, GREATEST(s.counted_seq, s.last_read_seq) AS place
      FROM unnest($1, $2) AS k (chat_id, user_id)
      JOIN unnest($3, $4) AS t (chat_id, target) ON t.chat_id = k.chat_id
      JOIN user_chat_states s ON s.chat_id = k.chat_id AND s.user_id = k.user_id AND s.counted_seq < t.target
    ), stretch AS MATERIALIZED (
      SELECT b.chat_id, b.target, min(b.place) AS lowest,
        (SELECT c.revision FROM chats c WHERE c.id = b.chat_id) AS chat_revision
      FROM behind b GROUP BY b.chat_id, b.target
    ), fresh AS MATERIALIZED (
      SELECT r.chat_id, f.seq, f.sender_id, f.passed_user_id
      FROM stretch r
      CROSS JOIN LATERAL (
        SELECT x.seq, x.sender_id, x.deleted_at, CASE WHEN x.deleted_at IS NOT NULL THEN (
          SELECT passed_user_id FROM unread_removals w WHERE w.chat_id = x.chat_id AND w.seq = x.seq
          ) END AS passed_user_id
        FROM messages x
        WHERE x.chat_id = r.chat_id AND x.seq > r.lowest AND x.seq <= r.target AND x.message_type <> 'service'
        OFFSET 0) f
      WHERE f.deleted_at IS NULL OR f.passed_user_id IS NOT NULL
    ), exempt AS (
      SELECT chat_id, seq, sender_id AS user_id FROM fresh WHERE sender_id IS NOT NULL
      UNION
      SELECT r.chat_id, h.seq, h.user_id
      FROM stretch r
      CROSS JOIN LATERAL (
        SELECT seq, user_id FROM message_hides
        WHERE chat_id = r.chat_id AND seq > r.lowest AND seq <= r.target AND seq > 0 OFFSET 0) h
      JOIN fresh f ON f.chat_id = r.chat_id AND f.seq = h.seq
      UNION
      SELECT f.chat_id, f.seq, b.user_id FROM fresh f JOIN behind b ON b.chat_id = f.chat_id
      WHERE f.passed_user_id > 0 AND b.user_id <= f.passed_user_id
    ), line AS (
      SELECT chat_id, seq, false AS is_place FROM fresh UNION ALL SELECT DISTINCT chat_id, place, true FROM behind
    ), places AS MATERIALIZED (
      SELECT w.chat_id, w.seq AS place, w.newer, r.chat_revision
      FROM (
        SELECT chat_id, seq, is_place, count(*) FILTER (WHERE NOT is_place) OVER (
          PARTITION BY chat_id ORDER BY seq DESC, is_place DESC ROWS UNBOUNDED PRECEDING) AS newer
        FROM line) w
      JOIN stretch r ON r.chat_id = w.chat_id
      WHERE w.is_place
    ), parts AS (
      SELECT b.chat_id, b.user_id, b.target, p.newer AS number, p.chat_revision
      FROM behind b JOIN places p ON p.chat_id = b.chat_id AND p.place = b.place
      UNION ALL
      SELECT b.chat_id, b.user_id, b.target, -1, NULL
      FROM exempt e JOIN behind b ON b.chat_id = e.chat_id AND b.user_id = e.user_id AND e.seq > b.place
    ), share AS MATERIALIZED (
      SELECT chat_id, user_id, target, sum(number) AS added, max(chat_revision) AS chat_revision
      FROM parts GROUP BY chat_id, user_id, target
    )
    UPDATE user_chat_states s SET unread_count = s.unread_count + share.added, counted_seq = share.target
    FROM share WHERE s.user_id = share.user_id AND s.chat_id = share.chat_id
    RETURNING s.chat_id, s.user_id, s.unread_count, next_message_id(GREATEST(s.revision, share.chat_revision))""",
)

# Never waits for a sender nor lets one wait: a chat that is being written to will be fanned out again anyway.
_FINISH = Prepared(
    "unread_finish",
    ("bigint[]", "bigint[]"),
    """
    WITH free AS (
      SELECT c.id, t.target FROM unnest($1, $2) AS t (chat_id, target)
      JOIN chats c ON c.id = t.chat_id AND c.fanned_out_seq < t.target
      ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED)
    UPDATE chats c SET fanned_out_seq = free.target FROM free WHERE c.id = free.id
    RETURNING c.id""",
)

_BEHIND = text("SELECT id FROM chats WHERE id > :after AND last_seq > fanned_out_seq ORDER BY id LIMIT :limit")

_BEHIND_WITH_MESSAGES = text("""
    SELECT c.id FROM chats c
    WHERE c.id IN (SELECT x.chat_id FROM messages x WHERE x.id > :after AND x.id <= :until)
      AND c.last_seq > c.fanned_out_seq
    ORDER BY c.id""")

# Walks the primary key only.
_STRETCH = text("SELECT id FROM messages WHERE id > :after AND id <= :until ORDER BY id OFFSET :limit - 1 LIMIT 1")

# By another way than the fan-out, as it is what that is measured by: all messages of a stretch, without those that are
# not for the member, own ones and hidden ones. Members stand at few different places, so a stretch is counted once for
# all of them: of each member by itself, 100,000 of them and as many messages would take days. Look-ups by key and sums
# only: what tables hold is often known badly, and two long lists could be compared row by row.
_IS_COUNTED = "x.message_type <> 'service' AND x.deleted_at IS NULL"
_RECOUNT = text(f"""
    WITH states AS MATERIALIZED (
      SELECT s.chat_id, s.user_id, s.last_read_seq AS after_seq,
        GREATEST(s.counted_seq, c.fanned_out_seq) AS up_to_seq, {COUNTED} AS unread_count
      FROM chats c
      JOIN chat_members m ON m.chat_id = c.id AND m.left_at IS NULL
      CROSS JOIN LATERAL (
        SELECT * FROM user_chat_states WHERE user_id = m.user_id AND chat_id = m.chat_id OFFSET 0) s
      WHERE c.id = ANY (CAST(:chat_ids AS bigint[]))
    ), stretches AS MATERIALIZED (
      SELECT k.chat_id, k.user_ids, k.unread_counts, (
        SELECT count(*) FROM messages x
        WHERE x.chat_id = k.chat_id AND x.seq > k.after_seq AND x.seq <= k.up_to_seq AND {_IS_COUNTED}) AS number
      FROM (
        SELECT chat_id, after_seq, up_to_seq, array_agg(user_id) AS user_ids, array_agg(unread_count) AS unread_counts
        FROM states GROUP BY chat_id, after_seq, up_to_seq) k
    ), exempt AS (
      SELECT x.chat_id, x.sender_id AS user_id, x.seq
      FROM messages x
      JOIN chats c ON c.id = x.chat_id
      CROSS JOIN LATERAL (
        SELECT * FROM user_chat_states WHERE user_id = x.sender_id AND chat_id = x.chat_id OFFSET 0) s
      WHERE x.chat_id = ANY (CAST(:chat_ids AS bigint[])) AND {_IS_COUNTED}
        AND x.seq > s.last_read_seq AND x.seq <= GREATEST(s.counted_seq, c.fanned_out_seq)
      UNION
      SELECT s.chat_id, s.user_id, x.seq
      FROM states s
      CROSS JOIN LATERAL (
        SELECT message_id FROM message_hides WHERE user_id = s.user_id AND chat_id = s.chat_id OFFSET 0) h
      CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = h.message_id AND chat_id = s.chat_id OFFSET 0) x
      WHERE {_IS_COUNTED} AND x.seq > s.after_seq AND x.seq <= s.up_to_seq
    ), parts AS (
      SELECT k.chat_id, u.user_id, u.unread_count, k.number
      FROM stretches k CROSS JOIN LATERAL unnest(k.user_ids, k.unread_counts) AS u (user_id, unread_count)
      UNION ALL
      SELECT chat_id, user_id, NULL, -1 FROM exempt)
    SELECT chat_id, user_id, sum(unread_count)::bigint, sum(number)::bigint FROM parts
    GROUP BY chat_id, user_id
    HAVING count(unread_count) = 1 AND sum(unread_count) <> sum(number)
    ORDER BY chat_id, user_id""")

_CHAT_PAGE = text("SELECT id FROM chats WHERE id > :after ORDER BY id LIMIT :limit")


def progress(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[Progress]:
    """Those of the chats where something is due; read without a lock."""
    return [Progress(*row) for row in _PROGRESS.rows(unit.connection, list(chat_ids))]


def lock_chats(unit: UnitOfWork, targets: Mapping[int, int]) -> list[State]:
    """Locks the states of all present members that are counted less far than their chat's target."""
    rows = _LOCK_CHATS.rows(unit.connection, list(targets), list(targets.values()))
    return [State(*row) for row in rows]


def lock_part(unit: UnitOfWork, chat_id: int, target: int, after_user_id: int, limit: int) -> list[State]:
    """Locks the next states of one chat, in the order of user ids."""
    return [State(*row) for row in _LOCK_PART.rows(unit.connection, chat_id, target, after_user_id, limit)]


def count(unit: UnitOfWork, states: Sequence[State], targets: Mapping[int, int]) -> list[Unread]:
    """Counts for locked states what came up to their chat's target.

    A statement of its own after the lock, so that it sees every deletion that held a state before us.
    """
    rows = _COUNT.rows(
        unit.connection,
        [state.chat_id for state in states],
        [state.user_id for state in states],
        list(targets),
        list(targets.values()),
    )
    return [Unread(*row) for row in rows]


def finish(unit: UnitOfWork, targets: Mapping[int, int]) -> None:
    """Notes that all members are counted up to the targets; never moves back, passes over chats being written to."""
    _FINISH.rows(unit.connection, list(targets), list(targets.values()))


def behind(unit: UnitOfWork, after_chat_id: int, limit: int) -> list[int]:
    """Chats that are behind, by looking at every chat past a key."""
    return list(unit.execute(_BEHIND, {"after": after_chat_id, "limit": limit}).scalars())


def end_of_stretch(unit: UnitOfWork, after: int, until: int, limit: int) -> int:
    """The id up to which at most `limit` messages past `after` lie; `until` where there are fewer."""
    found = unit.execute(_STRETCH, {"after": after, "until": until, "limit": limit}).scalar_one_or_none()
    return until if found is None else int(found)


def behind_with_messages(unit: UnitOfWork, after: int, until: int) -> list[int]:
    """Chats that are behind and have a message with an id in (after, until]."""
    return list(unit.execute(_BEHIND_WITH_MESSAGES, {"after": after, "until": until}).scalars())


def differences(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[Difference]:
    """Present members of the chats whose count is not what a recount gives."""
    return [Difference._make(row) for row in unit.execute(_RECOUNT, {"chat_ids": list(chat_ids)})]


def chat_page(unit: UnitOfWork, after_chat_id: int, limit: int) -> list[int]:
    """The ids of the next chats."""
    return list(unit.execute(_CHAT_PAGE, {"after": after_chat_id, "limit": limit}).scalars())

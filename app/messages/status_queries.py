"""Every SQL statement that writes down which messages have arrived and were read, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork


class MoveId(NamedTuple):
    """The key of a move in the queue."""

    chat_id: int
    id: int


class QueuedMove(NamedTuple):
    """A member's mark that moved over (after_seq, up_to_seq], and what is known of its chat; None: it is gone."""

    chat_id: int
    id: int
    user_id: int
    is_read: bool
    after_seq: int
    up_to_seq: int
    moved_at: datetime
    chat_type: str | None
    member_count: int
    delivered_seq: int
    read_seq: int

    @property
    def is_departure(self) -> bool:
        """Whether it moves over nothing, and says that the member has gone."""
        return self.after_seq == self.up_to_seq


class Piece(NamedTuple):
    """A part of a move; `keeps_receipts` where it is kept who has read each message."""

    chat_id: int
    user_id: int
    is_read: bool
    after_seq: int
    up_to_seq: int
    moved_at: datetime
    keeps_receipts: bool


class Change(NamedTuple):
    """What an author who is still there wrote in a chat has a new status, up to a message."""

    chat_id: int
    chat_type: str
    member_count: int
    author_id: int
    status: Literal["delivered", "read"]
    message_id: int


class Waiting(NamedTuple):
    """A chat with moves in the queue, and how long the oldest has waited, in seconds."""

    chat_id: int
    seconds: float


_TAKE = Prepared(
    "status_take",
    ("bigint[]", "integer"),
    """
    SELECT q.chat_id, q.id, q.user_id, q.is_read, q.after_seq, q.up_to_seq, q.moved_at,
           c.type, coalesce(c.member_count, 0), coalesce(c.delivered_seq, 0), coalesce(c.read_seq, 0)
    FROM unnest($1) AS k (chat_id)
    CROSS JOIN LATERAL (SELECT * FROM receipt_queue WHERE chat_id = k.chat_id ORDER BY id LIMIT $2) q
    LEFT JOIN LATERAL (SELECT * FROM chats WHERE id = k.chat_id OFFSET 0) c ON true
    ORDER BY q.chat_id, q.id""",
)

# The messages of a piece, by the index (chat_id, seq).
_OF_PIECE = """
    SELECT id, chat_id FROM messages
    WHERE chat_id = p.chat_id AND seq > p.after_seq AND seq <= p.up_to_seq AND deleted_at IS NULL
      AND sender_id IS DISTINCT FROM p.user_id"""

# In the order of the key, so that two workers on the same messages wait for each other and do not lock up.
_KEEP_RECEIPTS = Prepared(
    "status_keep_receipts",
    ("bigint[]", "bigint[]", "bigint[]", "bigint[]", "timestamptz[]"),
    f"""
    INSERT INTO message_read_receipts (message_id, user_id, read_at)
    SELECT x.id, p.user_id, min(p.moved_at)
    FROM unnest($1, $2, $3, $4, $5) AS p (chat_id, user_id, after_seq, up_to_seq, moved_at)
    CROSS JOIN LATERAL ({_OF_PIECE} AND message_type <> 'service' OFFSET 0) x
    GROUP BY x.id, p.user_id ORDER BY x.id, p.user_id
    ON CONFLICT DO NOTHING
    RETURNING 1""",
)

_LOCK = Prepared(
    "status_lock",
    ("bigint[]",),
    "SELECT id FROM chats WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE",
)

_DUE = Prepared(
    "status_due",
    ("bigint[]", "bigint[]", "boolean[]", "bigint[]", "bigint[]"),
    f"""
    SELECT x.id, bool_or(p.is_read)
    FROM unnest($1, $2, $3, $4, $5) AS p (chat_id, user_id, is_read, after_seq, up_to_seq)
    CROSS JOIN LATERAL (
      {_OF_PIECE} AND (status = 'sent' OR (p.is_read AND status = 'delivered')) OFFSET 0) x
    GROUP BY x.id ORDER BY x.id""",
)

# Each message gets a revision of its own, as sync pages by them. Never a join with messages: a plan made while they
# are few could read all of them later.
_CHANGE = Prepared(
    "status_change",
    ("bigint[]", "bigint[]"),
    """
    WITH drawn AS MATERIALIZED (
      SELECT x.id, next_message_id(c.newest) AS revision
      FROM unnest($1) AS k (id)
      CROSS JOIN LATERAL (SELECT id, chat_id FROM messages WHERE id = k.id OFFSET 0) x
      CROSS JOIN LATERAL (
        SELECT GREATEST(revision, last_message_id) AS newest FROM chats WHERE id = x.chat_id OFFSET 0) c
    ), changed AS (
      UPDATE messages x SET status = CASE WHEN x.id = ANY ($2) THEN 'read' ELSE 'delivered' END,
        revision = (SELECT d.revision FROM drawn d WHERE d.id = x.id)
      WHERE x.id = ANY ($1)
      RETURNING x.id, x.chat_id, x.sender_id, x.status, x.revision
    ), newest AS MATERIALIZED (
      SELECT chat_id, max(revision) AS revision FROM changed GROUP BY chat_id
    ), stamped AS (
      UPDATE chats c SET revision = (SELECT n.revision FROM newest n WHERE n.chat_id = c.id)
      WHERE c.id = ANY (ARRAY(SELECT chat_id FROM newest))
      RETURNING c.id, c.type, c.member_count)
    SELECT x.chat_id, s.type, s.member_count, x.sender_id, x.status, max(x.id)
    FROM changed x JOIN stamped s ON s.id = x.chat_id
    CROSS JOIN LATERAL (
      SELECT FROM chat_members
      WHERE chat_id = x.chat_id AND user_id = x.sender_id AND left_at IS NULL OFFSET 0) m
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 6""",
)

# Up to the first message that may still change; no further at once than a statement looks at in no time.
_SETTLED = """
    coalesce(
      (SELECT x.seq - 1 FROM messages x
       WHERE x.chat_id = c.id AND x.seq > c.{mark} AND x.seq <= LEAST(c.last_seq, c.{mark} + {most})
         AND x.deleted_at IS NULL AND {may_change}
       ORDER BY x.seq LIMIT 1),
      LEAST(c.last_seq, c.{mark} + {most}))"""
_SETTLE = Prepared(
    "status_settle",
    ("bigint[]",),
    f"""
    UPDATE chats c SET delivered_seq = GREATEST(n.delivered_seq, n.read_seq), read_seq = n.read_seq
    FROM (
      SELECT c.id,
        {_SETTLED.format(mark="delivered_seq", most=2000, may_change="x.status = 'sent'")} AS delivered_seq,
        {_SETTLED.format(mark="read_seq", most=2000, may_change="x.status <> 'read'")} AS read_seq
      FROM chats c WHERE c.id = ANY ($1) OFFSET 0) n
    WHERE c.id = ANY ($1) AND c.id = n.id AND (n.delivered_seq > c.delivered_seq OR n.read_seq > c.read_seq)
    RETURNING c.id""",
)

# A message may change as long as somebody else than its sender is there whose mark is before it. So the two who are
# furthest back decide: between their marks only the first of them changes something, past both one of them does, of
# whomever it is. In a large chat many are far back: then two are soon found, and nobody else is looked at.
_PRESENT = """
    SELECT s.user_id, s.mark
    FROM (
      SELECT chat_id, user_id FROM chat_members
      WHERE (chat_id, user_id) > (c.id, 0) AND (chat_id, user_id) < (c.id + 1, 0) AND left_at IS NULL
      ORDER BY chat_id, user_id OFFSET 0) m
    CROSS JOIN LATERAL (
      SELECT user_id, {own} AS mark FROM user_chat_states
      WHERE user_id = m.user_id AND chat_id = m.chat_id OFFSET 0) s"""
_FURTHEST_BACK = "(x.seq > l.second OR x.seq > l.first AND x.sender_id IS DISTINCT FROM l.first_user_id)"


def _settling_departed(name: str, mark: str, own: str, status: str, sets: str) -> Prepared:
    present = _PRESENT.format(own=own)
    up_to = _SETTLED.format(mark=mark, most=50_000, may_change=f"{status} AND {_FURTHEST_BACK}")
    return Prepared(
        name,
        ("bigint[]",),
        f"""
        UPDATE chats c SET {sets}
        FROM (
          SELECT c.id, LEAST({up_to}, (SELECT min(after_seq) FROM receipt_queue WHERE chat_id = c.id)) AS up_to
          FROM chats c
          CROSS JOIN LATERAL (
            SELECT min(mark) AS first, (array_agg(user_id ORDER BY mark))[1] AS first_user_id,
              CASE WHEN count(*) = 2 THEN max(mark) ELSE c.last_seq END AS second
            FROM (SELECT * FROM ({present}) p ORDER BY mark LIMIT 2) two OFFSET 0) l
          WHERE c.id = ANY ($1) AND c.{mark} < c.last_seq
            AND (SELECT count(*) FROM (SELECT FROM ({present}) p WHERE mark <= c.{mark} LIMIT 2) two) < 2
          OFFSET 0) n
        WHERE c.id = ANY ($1) AND c.id = n.id AND n.up_to > c.{mark}
        RETURNING c.id""",
    )


_SETTLE_DEPARTED = (
    _settling_departed(
        "status_settle_read",
        mark="read_seq",
        own="last_read_seq",
        status="x.status <> 'read'",
        sets="read_seq = n.up_to, delivered_seq = GREATEST(c.delivered_seq, n.up_to)",
    ),
    _settling_departed(
        "status_settle_delivered",
        mark="delivered_seq",
        own="GREATEST(last_delivered_seq, last_read_seq)",
        status="x.status = 'sent'",
        sets="delivered_seq = n.up_to",
    ),
)

_DONE = Prepared(
    "status_done",
    ("bigint[]", "bigint[]"),
    """
    DELETE FROM receipt_queue q USING unnest($1, $2) AS k (chat_id, id)
    WHERE q.chat_id = k.chat_id AND q.id = k.id RETURNING 1""",
)

_GO_ON_AFTER = Prepared(
    "status_go_on_after",
    ("bigint[]", "bigint[]", "bigint[]"),
    """
    UPDATE receipt_queue q SET after_seq = k.after_seq FROM unnest($1, $2, $3) AS k (chat_id, id, after_seq)
    WHERE q.chat_id = k.chat_id AND q.id = k.id AND q.after_seq < k.after_seq RETURNING 1""",
)

# From one chat to the next along the key, however many moves each has.
_WAITING = text("""
    WITH RECURSIVE chat AS (
      (SELECT chat_id, moved_at FROM receipt_queue WHERE chat_id > :after ORDER BY chat_id, id LIMIT 1)
      UNION ALL
      SELECT n.chat_id, n.moved_at FROM chat CROSS JOIN LATERAL (
        SELECT chat_id, moved_at FROM receipt_queue WHERE chat_id > chat.chat_id ORDER BY chat_id, id LIMIT 1) n)
    SELECT chat_id, extract(epoch FROM clock_timestamp() - moved_at)::float FROM chat LIMIT :limit""")


def take(unit: UnitOfWork, chat_ids: Sequence[int], limit: int) -> list[QueuedMove]:
    """The oldest moves of each of the chats, at most `limit` of one; they stay in the queue until they are done."""
    return [QueuedMove._make(row) for row in _TAKE.rows(unit.connection, list(chat_ids), limit)]


def keep_receipts(unit: UnitOfWork, pieces: Sequence[Piece]) -> int:
    """Keeps who has read which message and when; gives how many receipts are new."""
    columns = ("chat_id", "user_id", "after_seq", "up_to_seq", "moved_at")
    return len(_KEEP_RECEIPTS.rows(unit.connection, *_arrays(pieces, columns)))


def lock(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[int]:
    """Locks the rows of chats; gives those that there are."""
    return [row[0] for row in _LOCK.rows(unit.connection, list(chat_ids))]


def due(unit: UnitOfWork, pieces: Sequence[Piece]) -> dict[int, bool]:
    """Messages of the pieces whose status is behind, by id, and whether they were read rather than just delivered."""
    columns = ("chat_id", "user_id", "is_read", "after_seq", "up_to_seq")
    rows = _DUE.rows(unit.connection, *_arrays(pieces, columns))
    return {row[0]: row[1] for row in rows}


def change(unit: UnitOfWork, statuses: Mapping[int, bool]) -> list[Change]:
    """Writes the new status of messages of locked chats, and stamps these and those; whose they are."""
    read = [message_id for message_id, is_read in statuses.items() if is_read]
    return [Change._make(row) for row in _CHANGE.rows(unit.connection, list(statuses), read)]


def settle(unit: UnitOfWork, chat_ids: Sequence[int]) -> None:
    """Notes for locked chats up to which message no status can change any more."""
    _SETTLE.rows(unit.connection, list(chat_ids))


def settle_departed(unit: UnitOfWork, chat_ids: Sequence[int]) -> None:
    """Does the same for locked chats that somebody has left: over what nobody is left to read, too.

    What waits in the queue may still change; so the moves that are done leave it before.
    """
    for statement in _SETTLE_DEPARTED:
        statement.rows(unit.connection, list(chat_ids))


def done(unit: UnitOfWork, moves: Sequence[QueuedMove]) -> None:
    """Takes moves out of the queue."""
    _DONE.rows(unit.connection, [move.chat_id for move in moves], [move.id for move in moves])


def go_on_after(unit: UnitOfWork, reached: Mapping[MoveId, int]) -> None:
    """Notes up to which message moves that stay in the queue are done; never back."""
    keys = list(reached)
    _GO_ON_AFTER.rows(
        unit.connection, [key.chat_id for key in keys], [key.id for key in keys], [reached[key] for key in keys]
    )


def waiting(unit: UnitOfWork, after_chat_id: int, limit: int) -> list[Waiting]:
    """The next chats that have moves in the queue, by id."""
    return [Waiting._make(row) for row in unit.execute(_WAITING, {"after": after_chat_id, "limit": limit})]


def _arrays(pieces: Sequence[Piece], columns: Sequence[str]) -> list[list[object]]:
    return [[getattr(piece, column) for piece in pieces] for column in columns]

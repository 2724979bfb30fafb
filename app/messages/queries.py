"""Every SQL statement about messages, but for the unread fan-out's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg2

from app.chats.message import COLUMN_COUNT, columns
from app.infra.db import Prepared, UnitOfWork, engine, translated_errors

Row = tuple[Any, ...]


class Send(NamedTuple):
    """One message to store. `session_id` is None for what the service itself sends."""

    chat_id: int
    sender_id: int
    session_id: str | None
    client_id: str | None
    body_hash: bytes
    message_type: str
    text: str | None
    reply_to_id: int | None


class Sent(NamedTuple):
    """What became of a Send: `outcome` is sent, repeated, or the reason why not; the rest is set where sent."""

    outcome: str
    message_id: int | None
    seq: int | None
    created_at: Any
    chat_type: str | None
    members_revision: int | None


# Whoever sends to a chat, or changes who may, holds the chat's row: commit order in a chat is seq order.
_LOCK = Prepared("send_lock", ("bigint[]",), "SELECT 1 FROM chats WHERE id = ANY ($1) ORDER BY id FOR UPDATE")

# Runs after the lock in a snapshot of its own, so that it sees all that was committed before. Each look-up of `checked`
# is by key: LIMIT 1 keeps the planner from joining whole tables.
_SEND = Prepared(
    "send_batch",
    (
        "bigint[]",
        "bigint[]",
        "uuid[]",
        "uuid[]",
        "bytea[]",
        "text[]",
        "text[]",
        "bigint[]",
    ),
    """
    WITH incoming AS (
      SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY
        AS i (chat_id, sender_id, session_id, client_id, body_hash, message_type, text, reply_to_id, n)
    ), checked AS MATERIALIZED (
      SELECT i.*, c.type AS chat_type, c.last_seq, c.members_revision,
        GREATEST(c.last_message_id, c.revision) AS previous_id, d.message_id AS repeated_id,
        CASE
          WHEN i.session_id IS NOT NULL AND s.id IS NULL THEN 'session_revoked'
          WHEN m.role IS NULL THEN 'not_a_member'
          WHEN d.message_id IS NOT NULL AND d.body_hash = i.body_hash THEN 'repeated'
          WHEN d.message_id IS NOT NULL THEN 'client_id_reused'
          WHEN c.type = 'channel' AND m.role = 'member' THEN 'not_a_poster'
          WHEN c.type = 'direct' AND b.blocked THEN 'blocked'
          WHEN i.reply_to_id IS NOT NULL AND r.id IS NULL THEN 'no_such_reply'
          ELSE 'sent'
        END AS outcome
      FROM incoming i
      LEFT JOIN LATERAL (
        SELECT id FROM sessions WHERE id = i.session_id AND user_id = i.sender_id AND revoked_at IS NULL LIMIT 1
      ) s ON true
      LEFT JOIN LATERAL (SELECT * FROM chats WHERE id = i.chat_id LIMIT 1) c ON true
      LEFT JOIN LATERAL (
        SELECT role FROM chat_members WHERE chat_id = i.chat_id AND user_id = i.sender_id AND left_at IS NULL LIMIT 1
      ) m ON true
      LEFT JOIN LATERAL (
        SELECT message_id, body_hash FROM message_dedup
        WHERE sender_id = i.sender_id AND client_id = i.client_id LIMIT 1
      ) d ON true
      LEFT JOIN LATERAL (
        SELECT true AS blocked FROM chat_members o
        JOIN blocks k ON k.user_id = o.user_id AND k.blocked_id = i.sender_id
        WHERE c.type = 'direct' AND o.chat_id = i.chat_id AND o.user_id <> i.sender_id LIMIT 1
      ) b ON true
      LEFT JOIN LATERAL (
        SELECT id FROM messages WHERE id = i.reply_to_id AND chat_id = i.chat_id AND deleted_at IS NULL LIMIT 1
      ) r ON true
    ), placed AS (
      SELECT *, row_number() OVER (PARTITION BY chat_id ORDER BY n) AS place FROM checked WHERE outcome = 'sent'
    ), written AS MATERIALIZED (
      SELECT n, chat_id, last_seq + place AS seq, clock_timestamp() AS created_at,
        (GREATEST(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1735689600000, (previous_id >> 12) + 1)
          + place - 1 << 12) | (nextval('message_id_seq') & 4095) AS id
      FROM placed
    ), inserted AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, client_id, message_type, text, reply_to_id, created_at,
                            revision)
      SELECT w.id, p.chat_id, w.seq, p.sender_id, p.client_id, p.message_type, p.text, p.reply_to_id, w.created_at, w.id
      FROM written w JOIN placed p USING (n)
    ), remembered AS (
      INSERT INTO message_dedup (sender_id, client_id, message_id, body_hash)
      SELECT p.sender_id, p.client_id, w.id, p.body_hash FROM written w JOIN placed p USING (n)
      WHERE p.client_id IS NOT NULL
    ), touched AS (
      UPDATE chats c SET last_seq = t.seq, last_message_id = t.id, revision = t.id
      FROM (SELECT chat_id, max(seq) AS seq, max(id) AS id FROM written GROUP BY chat_id) t WHERE c.id = t.chat_id
    )
    SELECT c.outcome, coalesce(w.id, c.repeated_id), w.seq, w.created_at, c.chat_type, c.members_revision
    FROM checked c LEFT JOIN written w USING (n) ORDER BY c.n""",
)


def send_batch(sends: Sequence[Send]) -> list[Sent | Exception]:
    """Stores a batch in one round trip and one commit; gives for each Send what became of it, in their order.

    An item that PostgreSQL refuses fails alone: the batch is then redone one by one. Raises Unavailable.
    """
    try:
        with translated_errors():
            return [*_execute(sends)]
    except psycopg2.Error as error:
        # Among the causes: a client_id stored by another process in the same moment; redone, it is seen.
        if len(sends) == 1:
            return [_redone(sends[0], error)]
        return [result for send in sends for result in send_batch([send])]


def _redone(send: Send, error: psycopg2.Error) -> Sent | Exception:
    if not isinstance(error, psycopg2.errors.UniqueViolation):
        return error
    try:
        return _execute([send])[0]
    except psycopg2.Error as second_error:
        return second_error


def _execute(sends: Sequence[Send]) -> list[Sent]:
    raw = engine().raw_connection()
    try:
        connection = raw.driver_connection
        assert connection is not None
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                known = raw.info.setdefault("prepared", set())
                _LOCK.prepare(cursor, known)
                _SEND.prepare(cursor, known)
                # Two statements in one message to PostgreSQL are one transaction and one round trip.
                arrays = [list(column) for column in zip(*sends, strict=True)]
                chat_ids = sorted({send.chat_id for send in sends})
                cursor.execute(f"{_LOCK.execute_sql}; {_SEND.execute_sql}", [chat_ids, *arrays])
                return [Sent(*row) for row in cursor.fetchall()]
        finally:
            if not connection.closed:
                connection.autocommit = False
    except psycopg2.OperationalError:
        raw.invalidate()
        raise
    finally:
        raw.close()


# A member's page of history, by seq: ids and seqs of a chat grow together, and only the index (chat_id, seq) gives this
# order, so that neither a quiet nor a huge chat is searched in another one. The bound on id only leaves older parts of
# the table out. (With a bound on both sides the planner takes the range for small and reads all of it by the primary
# key.) The outer joins leave a row of nulls where a member's page is empty, and none where the caller is no member.
_PAGE = """
    SELECT {columns}, c.last_seq, COALESCE($4, a.seq + $5)
    FROM chat_members m
    JOIN chats c ON c.id = m.chat_id
    JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
    LEFT JOIN LATERAL (SELECT seq FROM messages WHERE id = $3 AND chat_id = m.chat_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (
      SELECT * FROM messages x
      WHERE x.chat_id = m.chat_id AND x.seq {side} COALESCE($4, a.seq + $5) AND x.id > $6
        AND x.seq > GREATEST(s.cleared_seq, m.history_from_seq) AND NOT coalesce($2 = ANY (x.deleted_for_users), false)
        AND x.deleted_at IS NULL
      ORDER BY x.seq {order} LIMIT $7) x ON true
    WHERE m.chat_id = $1 AND m.user_id = $2 AND m.left_at IS NULL
    ORDER BY x.seq {order}"""
_PAGE_TYPES = ("bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "integer")
_OLDER = Prepared("history_older", _PAGE_TYPES, _PAGE.format(columns=columns("x"), side="<", order="DESC"))
_NEWER = Prepared("history_newer", _PAGE_TYPES, _PAGE.format(columns=columns("x"), side=">", order="ASC"))


class Place(NamedTuple):
    """Where a page begins, itself left out: at a message's id, moved by `shift` seqs, or at a seq."""

    message_id: int | None
    seq: int | None
    shift: int = 0


class Page(NamedTuple):
    """Rows of messages, the chat's last seq, and the seq where the page began (None: no such message in the chat)."""

    rows: list[Row]
    last_seq: int
    place_seq: int | None


def older(unit: UnitOfWork, user_id: int, chat_id: int, before: Place, least_id: int, limit: int) -> Page | None:
    """Messages before a place with an id past `least_id`, newest first; None where the caller is not a member."""
    return _page(_OLDER.rows(unit.connection, chat_id, user_id, *before, least_id, limit))


def newer(unit: UnitOfWork, user_id: int, chat_id: int, after: Place, limit: int) -> Page | None:
    """Messages after a place, oldest first; None where the caller is not a member."""
    return _page(_NEWER.rows(unit.connection, chat_id, user_id, *after, 0, limit))


def _page(found: list[Row]) -> Page | None:
    if not found:
        return None
    last_seq, place_seq = found[0][COLUMN_COUNT:]
    return Page([row for row in found if row[0] is not None], last_seq, place_seq)


_BY_ID = Prepared(
    "message_by_id",
    ("bigint", "bigint"),
    f"""
    SELECT {columns("x")} FROM messages x
    CROSS JOIN LATERAL (
      SELECT FROM chat_members m WHERE m.chat_id = x.chat_id AND m.user_id = $2 AND m.left_at IS NULL LIMIT 1) m
    WHERE x.id = $1""",
)

_BY_SEQ = Prepared(
    "messages_by_seq",
    ("bigint", "bigint", "bigint"),
    f"SELECT {columns('x')} FROM messages x WHERE x.chat_id = $1 AND x.seq > $2 AND x.seq <= $3 ORDER BY x.seq",
)


def by_id(unit: UnitOfWork, user_id: int, message_id: int) -> Row | None:
    """A message of a chat that the person is in."""
    return _BY_ID.row(unit.connection, message_id, user_id)


def id_at(unit: UnitOfWork, chat_id: int, seq: int) -> int:
    """The id of a chat's message; 0 where it is gone."""
    rows = by_seq(unit, chat_id, seq - 1, seq)
    return int(rows[0][0]) if rows else 0


def by_seq(unit: UnitOfWork, chat_id: int, after: int, up_to: int) -> list[Row]:
    """A chat's messages with seq in (after, up_to], oldest first."""
    return _BY_SEQ.rows(unit.connection, chat_id, after, up_to)

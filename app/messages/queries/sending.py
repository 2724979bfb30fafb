"""SQL of sending: a batch of messages in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import errors as pg_errors
from sqlalchemy import text

from app.chats.hides import is_hidden
from app.chats.message import MessageType
from app.errors import Unavailable
from app.infra.db import Prepared, UnitOfWork, engine, translated_errors


class Send(NamedTuple):
    """One message to store. `session_id` is None for what the service itself sends."""

    chat_id: int
    sender_id: int
    session_id: str | None
    client_id: str | None
    body_hash: bytes
    message_type: MessageType
    text: str | None
    reply_to_id: int | None
    forwarded_from_user_id: int | None = None


class Sent(NamedTuple):
    """What became of a Send: `outcome` is sent, repeated, or the reason why not; the rest is set where sent."""

    outcome: str
    message_id: int | None
    seq: int | None
    created_at: Any
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
        "bigint[]",
        "boolean",
    ),
    f"""
    WITH incoming AS (
      SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) WITH ORDINALITY
        AS i (chat_id, sender_id, session_id, client_id, body_hash, message_type, text, reply_to_id,
              forwarded_from_user_id, n)
    ), checked AS MATERIALIZED (
      SELECT i.*, c.last_seq, c.members_revision,
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
        SELECT role, history_from_seq FROM chat_members
        WHERE chat_id = i.chat_id AND user_id = i.sender_id AND left_at IS NULL LIMIT 1
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
        SELECT x.id FROM messages x
        CROSS JOIN LATERAL (
          SELECT cleared_seq FROM user_chat_states WHERE user_id = i.sender_id AND chat_id = i.chat_id LIMIT 1) v
        WHERE x.id = i.reply_to_id AND x.chat_id = i.chat_id AND x.deleted_at IS NULL
          AND x.seq > GREATEST(v.cleared_seq, m.history_from_seq) AND NOT {is_hidden("x", "i.sender_id")} LIMIT 1
      ) r ON true
    ), placed AS (
      SELECT *, row_number() OVER (PARTITION BY chat_id ORDER BY n) AS place FROM checked
      WHERE outcome = 'sent'
        AND (NOT $10 OR NOT EXISTS (SELECT FROM checked WHERE outcome NOT IN ('sent', 'repeated')))
    ), written AS MATERIALIZED (
      SELECT n, chat_id, last_seq + place AS seq, clock_timestamp() AS created_at,
        (GREATEST(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1735689600000, (previous_id >> 12) + 1)
          + place - 1 << 12) | (nextval('message_id_seq') & 4095) AS id
      FROM placed
    ), inserted AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, client_id, message_type, text, reply_to_id,
                            forwarded_from_user_id, created_at, revision)
      SELECT w.id, p.chat_id, w.seq, p.sender_id, p.client_id, p.message_type, p.text, p.reply_to_id,
             p.forwarded_from_user_id, w.created_at, w.id
      FROM written w JOIN placed p USING (n)
    ), remembered AS (
      INSERT INTO message_dedup (sender_id, client_id, message_id, body_hash)
      SELECT p.sender_id, p.client_id, w.id, p.body_hash FROM written w JOIN placed p USING (n)
      WHERE p.client_id IS NOT NULL
    ), touched AS (
      UPDATE chats c SET last_seq = t.seq, last_message_id = t.id, revision = t.id
      FROM (SELECT chat_id, max(seq) AS seq, max(id) AS id FROM written GROUP BY chat_id) t
      WHERE c.id = t.chat_id AND c.id = ANY (ARRAY(SELECT chat_id FROM written))
    )
    SELECT c.outcome, coalesce(w.id, c.repeated_id), w.seq, w.created_at, c.members_revision
    FROM checked c LEFT JOIN written w USING (n) ORDER BY c.n""",
)


# Batches give up early: a chat that is locked for long must not keep the others waiting.
_SHORT_WAIT = "SET LOCAL lock_timeout = '200ms'; "


class Undecided(Exception):
    """A batch failed because of one of its messages, and nothing of it is stored: each is to be sent alone."""


# What one chat or message is to blame for, not PostgreSQL as a whole.
_LOCAL = (pg_errors.LockNotAvailable, pg_errors.DeadlockDetected, pg_errors.QueryCanceled)


def send_batch(sends: Sequence[Send]) -> list[Sent]:
    """Stores a batch in one round trip and one commit; gives for each Send what became of it, in their order.

    Raises Undecided where one message makes it fail: its chat is locked for long, or another process stores its
    client_id in this moment. Raises Unavailable where PostgreSQL is away. Either way nothing is stored.
    """
    try:
        with translated_errors():
            return _execute(sends, _SHORT_WAIT, all_or_nothing=False)
    except psycopg2.Error as error:
        raise Undecided from error
    except Unavailable as unavailable:
        if isinstance(unavailable.__cause__, _LOCAL):
            raise Undecided from unavailable
        raise


def send_alone(sends: Sequence[Send], all_or_nothing: bool = False) -> list[Sent]:
    """Stores messages with as much patience as statements have; for one, or for some that go together.

    With `all_or_nothing` none is stored where one may not be; the outcome `sent` of the others then comes without a
    message. Raises Unavailable where a chat stays locked or PostgreSQL is away.
    """
    with translated_errors():
        try:
            return _execute(sends, "", all_or_nothing)
        except pg_errors.UniqueViolation:
            # Its client_id was stored by somebody else meanwhile: now it is seen.
            return _execute(sends, "", all_or_nothing)


class Remembered(NamedTuple):
    """Which message a client_id became, and with which body."""

    message_id: int
    body_hash: bytes


_REMEMBERED = text("""
    SELECT client_id, message_id, body_hash FROM message_dedup
    WHERE sender_id = :sender_id AND client_id = ANY (CAST(:client_ids AS uuid[]))""")


def remembered(unit: UnitOfWork, sender_id: int, client_ids: Sequence[str]) -> dict[str, Remembered]:
    """What became of a sender's client_ids, as far as it is still known."""
    rows: Iterable[Any] = unit.execute(_REMEMBERED, {"sender_id": sender_id, "client_ids": list(client_ids)})
    return {str(row.client_id): Remembered(row.message_id, bytes(row.body_hash)) for row in rows}


def _execute(sends: Sequence[Send], patience: str, all_or_nothing: bool) -> list[Sent]:
    raw = engine().raw_connection()
    connection = raw.driver_connection
    assert connection is not None
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            known = raw.info.setdefault("prepared", set())
            _LOCK.prepare(cursor, known)
            _SEND.prepare(cursor, known)
            # Two statements in one message to PostgreSQL are one transaction and one round trip.
            arrays = [list(column) for column in zip(*sends, strict=True)]
            chat_ids = sorted({send.chat_id for send in sends})
            sql = f"{patience}{_LOCK.execute_sql}; {_SEND.execute_sql}"
            cursor.execute(sql, [chat_ids, *arrays, all_or_nothing])
            return [Sent(*row) for row in cursor.fetchall()]
    except psycopg2.OperationalError:
        if connection.closed:
            raw.invalidate()
        raise
    finally:
        raw.close()

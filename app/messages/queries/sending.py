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
from app.files.file import json_column
from app.infra.db import Prepared, UnitOfWork, engine, raw_cursor, translated_errors
from app.infra.rested import rested


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
    file_id: str | None = None
    """A file of the sender's or, in what is forwarded, one that the sender sees; its kind is the message's type."""


class Sent(NamedTuple):
    """What became of a Send: `outcome` is sent, repeated, or the reason why not; the rest is set where sent."""

    outcome: str
    message_id: int | None
    seq: int | None
    created_at: Any
    members_revision: int | None
    file: list[Any] | None = None
    """The file that the message shows, as `app.chats.message` reads it."""


# Whoever sends to a chat, or changes who may, holds the chat's row: commit order in a chat is seq order. Strangers
# neither get the lock nor wait for it: they would hold up the chat, and learn that there is one.
_LOCK = Prepared(
    "send_lock",
    ("bigint[]", "bigint[]"),
    """
    SELECT 1 FROM chats
    WHERE id = ANY (ARRAY(
      SELECT m.chat_id FROM unnest($1, $2) AS i (chat_id, sender_id)
      CROSS JOIN LATERAL (
        SELECT chat_id FROM chat_members
        WHERE chat_id = i.chat_id AND user_id = i.sender_id AND left_at IS NULL LIMIT 1) m))
    ORDER BY id FOR UPDATE""",
)

_SEND_TYPES = (
    "bigint[]",
    "bigint[]",
    "uuid[]",
    "uuid[]",
    "bytea[]",
    "text[]",
    "text[]",
    "bigint[]",
    "bigint[]",
    "uuid[]",
    "boolean",
)

# Whether the sender may see the message that is replied to.
_REPLY = f"""
        SELECT x.id FROM messages x
        CROSS JOIN LATERAL (
          SELECT cleared_seq FROM user_chat_states WHERE user_id = i.sender_id AND chat_id = i.chat_id LIMIT 1) v
        WHERE x.id = i.reply_to_id AND x.chat_id = i.chat_id AND x.deleted_at IS NULL
          AND x.seq > GREATEST(v.cleared_seq, m.history_from_seq) AND NOT {is_hidden("x", "i.sender_id")} LIMIT 1"""

# After the lock of the chats: whoever deletes a file holds its row, and looks whether a message shows it.
_LOCK_FILES = Prepared(
    "send_lock_files", ("uuid[]",), "SELECT 1 FROM files WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE"
)

# Runs after the lock in a snapshot of its own, so that it sees all that was committed before. Each look-up of `checked`
# is by key: LIMIT 1 keeps the planner from joining whole tables. Who came into a chat between the two is a stranger
# still, as the chat is not held: the lock of a row is known by its xmax.
_SEND_SQL = """
    WITH incoming AS (
      SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY
        AS i (chat_id, sender_id, session_id, client_id, body_hash, message_type, text, reply_to_id,
              forwarded_from_user_id, file_id, n)
    ), checked AS MATERIALIZED (
      SELECT i.*, {kind} AS kind, c.last_seq, c.members_revision,
        GREATEST(c.last_message_id, c.revision) AS previous_id, d.message_id AS repeated_id,
        CASE
          WHEN i.session_id IS NOT NULL AND s.id IS NULL THEN 'session_revoked'
          WHEN m.role IS NULL OR NOT c.is_held THEN 'not_a_member'
          WHEN d.message_id IS NOT NULL AND d.body_hash = i.body_hash THEN 'repeated'
          WHEN d.message_id IS NOT NULL THEN 'client_id_reused'
          WHEN c.type = 'channel' AND m.role = 'member' THEN 'not_a_poster'
          WHEN c.type = 'direct' AND b.blocked THEN 'blocked'
          WHEN i.reply_to_id IS NOT NULL AND r.id IS NULL THEN 'no_such_reply'
          {no_such_file}
          ELSE 'sent'
        END AS outcome
      FROM incoming i
      LEFT JOIN LATERAL (
        SELECT id FROM sessions WHERE id = i.session_id AND user_id = i.sender_id AND revoked_at IS NULL LIMIT 1
      ) s ON true
      LEFT JOIN LATERAL (
        SELECT *, xmax = pg_current_xact_id()::xid AS is_held FROM chats WHERE id = i.chat_id LIMIT 1
      ) c ON true
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
      LEFT JOIN LATERAL ({reply}) r ON true
      {files}
    ), placed AS (
      SELECT *, row_number() OVER (PARTITION BY chat_id ORDER BY n) AS place FROM checked
      WHERE outcome = 'sent'
        AND (NOT $11 OR NOT EXISTS (SELECT FROM checked WHERE outcome NOT IN ('sent', 'repeated')))
    ), written AS MATERIALIZED (
      SELECT n, chat_id, last_seq + place AS seq, clock_timestamp() AS created_at,
        next_message_id(previous_id) + (place - 1 << 12) AS id
      FROM placed
    ), inserted AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, client_id, message_type, text, reply_to_id,
                            forwarded_from_user_id, file_id, created_at, revision)
      SELECT w.id, p.chat_id, w.seq, p.sender_id, p.client_id, p.kind, p.text, p.reply_to_id,
             p.forwarded_from_user_id, p.file_id, w.created_at, w.id
      FROM written w JOIN placed p USING (n)
    ), remembered AS (
      INSERT INTO message_dedup (sender_id, client_id, message_id, body_hash)
      SELECT p.sender_id, p.client_id, w.id, p.body_hash FROM written w JOIN placed p USING (n)
      WHERE p.client_id IS NOT NULL
    ), touched AS (
      UPDATE chats c SET last_seq = t.seq, last_message_id = t.id, revision = t.id
      FROM (SELECT chat_id, max(seq) AS seq, max(id) AS id FROM written GROUP BY chat_id) t
      WHERE c.id = t.chat_id AND c.id = ANY (ARRAY(SELECT chat_id FROM written))
    ){shown}
    SELECT c.outcome, coalesce(w.id, c.repeated_id), w.seq, w.created_at, c.members_revision, {file}
    FROM checked c LEFT JOIN written w USING (n) ORDER BY c.n"""

_NO_REPLY = {"reply": "SELECT NULL::bigint AS id"}
_NO_FILE = {"kind": "i.message_type", "no_such_file": "", "files": "", "shown": "", "file": "NULL"}
_FILE = {
    "kind": "coalesce(f.kind, i.message_type)",
    "no_such_file": "WHEN i.file_id IS NOT NULL AND f.kind IS NULL THEN 'no_such_file'",
    "files": """LEFT JOIN LATERAL (
        SELECT kind FROM files
        WHERE id = i.file_id AND deleted_at IS NULL
          AND (owner_id = i.sender_id AND status <> 'failed' OR i.forwarded_from_user_id IS NOT NULL) LIMIT 1
      ) f ON true""",
    "shown": """, shown AS (
      INSERT INTO message_files (file_id, chat_id, message_id, seq)
      SELECT p.file_id, p.chat_id, w.id, w.seq FROM written w JOIN placed p USING (n) WHERE p.file_id IS NOT NULL
    ), used AS (
      UPDATE files SET unused_since = NULL
      WHERE id = ANY (ARRAY(SELECT file_id FROM placed WHERE file_id IS NOT NULL)) AND unused_since IS NOT NULL
    )""",
    "file": f"CASE WHEN w.id IS NOT NULL AND c.file_id IS NOT NULL THEN {json_column('c.file_id')} END",
}

# By whether a batch holds replies, and files. Few messages are either, and the others need not pay for it: looking for
# what is replied to makes PostgreSQL open all parts of `messages` and their indexes, a fifth of what a send costs it,
# even where there is no reply.
_SENDS = {
    (False, False): Prepared("send_batch", _SEND_TYPES, _SEND_SQL.format(**_NO_REPLY, **_NO_FILE)),
    (True, False): Prepared("send_batch_with_replies", _SEND_TYPES, _SEND_SQL.format(reply=_REPLY, **_NO_FILE)),
    (False, True): Prepared("send_batch_with_files", _SEND_TYPES, _SEND_SQL.format(**_NO_REPLY, **_FILE)),
    (True, True): Prepared("send_batch_with_both", _SEND_TYPES, _SEND_SQL.format(reply=_REPLY, **_FILE)),
}


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
    with rested(engine()).one() as connection, raw_cursor(connection) as (cursor, known):
        arrays = [list(column) for column in zip(*sends, strict=True)]
        statements: list[tuple[Prepared, list[object]]] = [(_LOCK, [*arrays[:2]])]
        file_ids = sorted({send.file_id for send in sends if send.file_id is not None})
        if file_ids:
            statements.append((_LOCK_FILES, [file_ids]))
        has_replies = any(send.reply_to_id is not None for send in sends)
        statements.append((_SENDS[has_replies, bool(file_ids)], [*arrays, all_or_nothing]))
        for statement, _ in statements:
            statement.prepare(cursor, known)
        # Statements in one message to PostgreSQL are one transaction and one round trip.
        sql = patience + "; ".join(statement.execute_sql for statement, _ in statements)
        cursor.execute(sql, [value for _, values in statements for value in values])
        return [Sent(*row) for row in cursor.fetchall()]

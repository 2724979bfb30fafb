"""Every SQL statement about catching up."""

from __future__ import annotations

from typing import Any

from app.chats.message import columns
from app.infra.db import Prepared, UnitOfWork
from config import settings


def _visible(table: str) -> str:
    """The columns of a message, without content where the person deleted it for oneself."""
    hidden = f"CASE WHEN NOT {table}.is_deleted_for_me THEN"
    return (
        columns(table)
        .replace(f"{table}.text", f"{hidden} {table}.text END")
        .replace(f"{table}.deleted_at", f"CASE WHEN {table}.is_deleted_for_me THEN now() ELSE {table}.deleted_at END")
    )


# A revision is drawn from the clock while a statement runs, so it is not below the start of that statement; once the
# transaction has written, not below the transaction's. What is not committed now is among these or begins later.
# Readers that run for long (a backup) never write and must not hold the horizon back: without a transaction id they
# count only as long as a statement of ours may take.
_HORIZON = Prepared(
    "sync_horizon",
    ("integer",),
    """
    SELECT message_id_at(LEAST(statement_timestamp(), min(
      CASE WHEN backend_xid IS NOT NULL THEN xact_start
           WHEN state = 'active' AND query_start > statement_timestamp() - make_interval(secs => $1) THEN query_start
      END))) - 1
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()""",
)


def horizon(unit: UnitOfWork) -> int:
    """The newest revision below which every transaction has ended; read it before what it stands for."""
    row = _HORIZON.row(unit.connection, 2 * settings().db_statement_timeout)
    assert row is not None
    return int(row[0])


REVISION = 13
"""Where a message's row holds its revision."""

# By the index (chat_id, revision), only in chats that changed: a chat's revision is past that of all its messages. What
# the person deleted for oneself comes as a tombstone, so that the other devices drop it.
_MESSAGES = Prepared(
    "sync_messages",
    ("bigint", "bigint", "integer"),
    f"""
    SELECT {_visible("x")}
    FROM chat_members m
    JOIN chats c ON c.id = m.chat_id AND c.revision > $2
    JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
    CROSS JOIN LATERAL (
      SELECT y.*, coalesce($1 = ANY (y.deleted_for_users), false) AS is_deleted_for_me FROM messages y
      WHERE y.chat_id = m.chat_id AND y.revision > $2 AND y.seq > GREATEST(s.cleared_seq, m.history_from_seq)
      ORDER BY y.revision LIMIT $3) x
    WHERE m.user_id = $1 AND m.left_at IS NULL
    ORDER BY x.revision LIMIT $3""",
)


def messages(unit: UnitOfWork, user_id: int, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Messages visible to a person with a revision past `after`, the least first."""
    return _MESSAGES.rows(unit.connection, user_id, after, limit)

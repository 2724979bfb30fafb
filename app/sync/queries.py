"""Every SQL statement about catching up."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import text

from app.chats.hides import is_hidden
from app.chats.message import columns
from app.infra.db import Prepared, UnitOfWork
from config import settings


def _visible(table: str) -> str:
    """The columns of a message, without content where it `is_deleted_for_me`."""
    hidden = f"CASE WHEN NOT {table}.is_deleted_for_me THEN"
    return (
        columns(table)
        .replace(f"{table}.text", f"{hidden} {table}.text END")
        .replace(f"{table}.deleted_at", f"CASE WHEN {table}.is_deleted_for_me THEN now() ELSE {table}.deleted_at END")
    )


# A revision is drawn from the clock while a statement runs, so it is not below the start of that statement; once the
# transaction has written, not below the transaction's. What is not committed now is among these or begins later.
# Readers that run for long (a backup) never write and must not hold the horizon back: without a transaction id they
# count only as long as a statement of ours may take. Where PostgreSQL does not track what a session does, it counts
# since it began; of the sessions of roles that this one may not look at nothing is known: see `unseen_writers`.
_HORIZON = Prepared(
    "sync_horizon",
    ("integer",),
    """
    SELECT message_id_at(LEAST(statement_timestamp(), min(
      CASE WHEN state = 'disabled' OR backend_xid IS NOT NULL THEN coalesce(xact_start, backend_start)
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


class UnseenWriter(NamedTuple):
    """A role that may write what sync reads, whose sessions are hidden from ours; `is_here` while it has some."""

    name: str
    is_superuser: bool
    is_here: bool


# A superuser always may and mostly does not, so it counts only while it is here.
_UNSEEN_WRITERS = text("""
    SELECT r.rolname, r.rolsuper, r.is_here FROM (
      SELECT oid, rolname, rolsuper, rolcanlogin, EXISTS (
        SELECT FROM pg_stat_activity a
        WHERE a.usesysid = pg_roles.oid AND a.datname = current_database()) AS is_here
      FROM pg_roles) r
    WHERE NOT pg_has_role('pg_read_all_stats', 'USAGE') AND NOT pg_has_role(r.oid, 'USAGE')
      AND (r.is_here OR r.rolcanlogin AND NOT r.rolsuper)
      AND EXISTS (
        SELECT FROM unnest(ARRAY['chats', 'chat_members', 'user_chat_states', 'messages']) t (name)
        WHERE has_table_privilege(r.oid, to_regclass(t.name), 'INSERT, UPDATE'))
    ORDER BY r.rolname""")

_IS_TRACKED = text("""
    SELECT current_setting('track_activities')::boolean AND NOT EXISTS (
      SELECT FROM pg_stat_activity
      WHERE datname = current_database() AND backend_type = 'client backend' AND state = 'disabled')""")


def unseen_writers(unit: UnitOfWork) -> list[UnseenWriter]:
    """Roles whose open transactions the horizon misses; none where ours may see all, or is the only one that writes."""
    return [UnseenWriter._make(row) for row in unit.execute(_UNSEEN_WRITERS)]


def is_tracked(unit: UnitOfWork) -> bool:
    """Whether PostgreSQL notes what the sessions of this database do."""
    return bool(unit.execute(_IS_TRACKED).scalar())


REVISION = 13
"""Where a message's row holds its revision."""

FIRST = 20
"""So many messages of each changed chat are looked at, to find out which chats a page is made of."""

# By the index (chat_id, revision), only in chats that changed: a chat's revision is past that of all its messages. The
# page ends no later than the $3 first of all chats' first messages. Up to there most chats have fewer than these; only
# those that have them all, at most one for every so many messages of a page, are read on. Each part has one bound on
# the revision: with two PostgreSQL takes what lies between for little, and reads all of it. `seq + 0` keeps it from
# taking the index (chat_id, seq) where it expects less than a page in a chat, and then sorting. What the person
# deleted for oneself comes as a tombstone, so that the other devices drop it: with the revision of the deletion,
# which has moved none of the message, and again with the message's own where that moves.
_MESSAGES = Prepared(
    "sync_messages",
    ("bigint", "bigint", "integer"),
    f"""
    WITH firsts AS MATERIALIZED (
      SELECT m.chat_id, GREATEST(s.cleared_seq, m.history_from_seq) AS from_seq, x.revision
      FROM chat_members m
      JOIN chats c ON c.id = m.chat_id AND c.revision > $2
      JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
      CROSS JOIN LATERAL (
        SELECT y.revision FROM messages y
        WHERE y.chat_id = m.chat_id AND y.revision > $2 AND y.seq + 0 > GREATEST(s.cleared_seq, m.history_from_seq)
        ORDER BY y.revision LIMIT {FIRST}) x
      WHERE m.user_id = $1 AND m.left_at IS NULL
    ), shares AS MATERIALIZED (
      SELECT f.chat_id, f.from_seq, CASE WHEN count(*) < {FIRST} THEN count(*) ELSE $3 END AS share
      FROM firsts f
      WHERE f.revision <= coalesce((SELECT revision FROM firsts ORDER BY revision OFFSET $3 - 1 LIMIT 1), f.revision)
      GROUP BY f.chat_id, f.from_seq
    )
    SELECT {_visible("x")}
    FROM shares k
    CROSS JOIN LATERAL (
      SELECT y.*, {is_hidden("y", "$1")} AS is_deleted_for_me FROM messages y
      WHERE y.chat_id = k.chat_id AND y.revision > $2 AND y.seq + 0 > k.from_seq
      ORDER BY y.revision LIMIT k.share) x
    UNION ALL
    (SELECT {_visible("x").replace("x.revision", "h.revision")}
     FROM message_hides h
     CROSS JOIN LATERAL (
       SELECT history_from_seq FROM chat_members
       WHERE chat_id = h.chat_id AND user_id = h.user_id AND left_at IS NULL OFFSET 0) m
     CROSS JOIN LATERAL (
       SELECT cleared_seq FROM user_chat_states WHERE user_id = h.user_id AND chat_id = h.chat_id OFFSET 0) s
     CROSS JOIN LATERAL (
       SELECT y.*, true AS is_deleted_for_me FROM messages y
       WHERE y.id = h.message_id AND y.seq > GREATEST(s.cleared_seq, m.history_from_seq) OFFSET 0) x
     WHERE h.user_id = $1 AND h.revision > $2 AND h.revision > 0
     ORDER BY h.revision LIMIT $3)
    ORDER BY revision LIMIT $3""",
)


def messages(unit: UnitOfWork, user_id: int, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Messages visible to a person with a revision past `after`, the least first."""
    return _MESSAGES.rows(unit.connection, user_id, after, limit)

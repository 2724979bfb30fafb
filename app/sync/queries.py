"""Statements about how far everything is committed, on which cursors stand."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork
from app.sync.hidden_writers import REVISIONS_A_SECOND, Look, hidden_writers
from config import settings

# A revision is drawn from the clock while a statement runs, so it is not below the start of that statement; once the
# transaction has written, not below the transaction's. What is not committed now is among these or begins later.
# Readers that run for long (a backup) never write and must not hold the horizon back: without a transaction id they
# count only as long as a statement of ours may take. Where PostgreSQL does not track what a session does, it counts
# since it began. Of sessions of roles that this one may not look at only the transaction id is shown, so they count by
# what earlier looks have noted (see `hidden_writers`). A transaction id has 32 bits here, and the next one has 64.
# It is left in a setting of the transaction as well, where the next statement of the same message finds it. The moment
# is noted for all sessions (without the disk, and by no transaction id), so that nothing is drawn below it any more,
# whatever the clock says then.
LOOK = Prepared(
    "sync_look",
    ("integer",),
    """
    SELECT set_config('paperplane.look', concat_ws(' ', message_id_at(LEAST(statement_timestamp(), min(
      CASE WHEN state = 'disabled' OR backend_xid IS NOT NULL THEN coalesce(xact_start, backend_start)
           WHEN state = 'active' AND query_start > statement_timestamp() - make_interval(secs => $1) THEN query_start
      END))) - 1,
      message_id_at(statement_timestamp()), pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
      max(((pg_snapshot_xmax(pg_current_snapshot())::text::bigint - backend_xid::text::bigint + 2147483648)
           & 4294967295) - 2147483648) FILTER (WHERE backend_type IS NULL)), true),
      CASE WHEN message_id_at(statement_timestamp()) >> 12 > coalesce(pg_sequence_last_value('clock_floor'), 0)
           THEN setval('clock_floor', message_id_at(statement_timestamp()) >> 12) END
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND (backend_type = 'client backend' OR backend_type IS NULL AND usesysid IS NOT NULL)""",
)


LOOKED_AT = "current_setting('paperplane.look')"
"""What LOOK has found, for a statement that is executed after it."""


def longest_reading() -> int:
    """Seconds after which a session that reads is not taken to write any more; what LOOK is given."""
    return 2 * settings().db_statement_timeout


def horizon(unit: UnitOfWork) -> int:
    """The newest revision below which every transaction has ended; read it before what it stands for."""
    row = LOOK.row(unit.connection, longest_reading())
    assert row is not None
    return horizon_of(row[0])


def horizon_of(look: str) -> int:
    """The same, by what LOOK has found."""
    newest, at, next_xid, *ages = map(int, look.split())
    since = hidden_writers().since(Look(at, next_xid), next_xid - ages[0] if ages else None)
    # Who writes may have drawn a revision a moment before it had its transaction id.
    return min(newest, since - longest_reading() * REVISIONS_A_SECOND) if ages else newest


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
    """Roles of whose transactions the horizon knows only that they write.

    None where ours may see all, or is the only one that writes.
    """
    return [UnseenWriter._make(row) for row in unit.execute(_UNSEEN_WRITERS)]


def is_tracked(unit: UnitOfWork) -> bool:
    """Whether PostgreSQL notes what the sessions of this database do."""
    return bool(unit.execute(_IS_TRACKED).scalar())

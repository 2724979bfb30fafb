"""Every SQL statement about catching up."""

from __future__ import annotations

from app.infra.db import Prepared, UnitOfWork
from config import settings

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

"""Who waits for the locks of a transaction: its own ones only, since others may wait for each other at any time."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.engine import Connection

# Of several who wait for one row all but the first wait for each other. The view of activity would show the same
# processes for as long as the transaction lasts that asks; that of locks is of now.
_WAITING = text("""
    WITH RECURSIVE waiting AS (
      SELECT pg_backend_pid() AS pid
      UNION
      SELECT l.pid FROM pg_locks l JOIN waiting w ON w.pid = ANY (pg_blocking_pids(l.pid)) WHERE NOT l.granted)
    SELECT count(*) - 1 FROM waiting""")


def waiting_for(connection: Connection) -> int:
    """How many transactions wait for what this connection's holds."""
    return int(connection.execute(_WAITING).scalar_one())

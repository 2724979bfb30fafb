"""The SQL of what is kept about messages for a time only."""

from __future__ import annotations

from sqlalchemy import text

from app.infra.db import UnitOfWork

# Materialized: a plan may run a subquery again for each row, and each time it would find another batch.
_CLIENT_IDS = text("""
    WITH expired AS MATERIALIZED (
      SELECT sender_id, client_id FROM message_dedup
      WHERE message_id < message_id_at(now() - interval '7 days') LIMIT :batch FOR UPDATE SKIP LOCKED)
    DELETE FROM message_dedup WHERE (sender_id, client_id) IN (SELECT sender_id, client_id FROM expired)""")


def delete_client_ids(unit: UnitOfWork, batch: int) -> int:
    """Deletes at most `batch` of the client_ids that are older than 7 days; gives how many."""
    return unit.execute(_CLIENT_IDS, {"batch": batch}).rowcount

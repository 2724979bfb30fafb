"""What has expired and goes, a batch at a time."""

from __future__ import annotations

from sqlalchemy import text

from app.infra.db import UnitOfWork


def _batch_of(table: str, key: str, condition: str) -> str:
    """Deletes rows that nobody holds just now; a held one is in use, or another sweep has it.

    Materialized: a plan may run a subquery again for each row, and each time it would find another batch.
    """
    return f"""
        WITH expired AS MATERIALIZED (
          SELECT {key} FROM {table} WHERE {condition} LIMIT :batch FOR UPDATE SKIP LOCKED)
        DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM expired)
    """


_CODES = text(
    _batch_of(
        "one_time_codes", "phone, purpose", "expires_at < now() AND sent_at < now() - make_interval(secs => :pause)"
    )
)
_REGISTRATIONS = text(_batch_of("pending_registrations", "phone", "created_at < now() - interval '1 day'"))
_SESSIONS = text(_batch_of("sessions", "id", "expires_at < now() - interval '30 days'"))
_ATTEMPTS = text(_batch_of("attempt_counts", "bucket", "window_started_at < now() - make_interval(secs => :window)"))


def delete_expired(unit: UnitOfWork, batch: int, resend_pause: int, longest_window: int) -> int:
    """Deletes at most `batch` rows of each kind; answers how many in all."""
    parameters = {"batch": batch}
    return (
        unit.execute(_CODES, parameters | {"pause": resend_pause}).rowcount
        + unit.execute(_REGISTRATIONS, parameters).rowcount
        + unit.execute(_SESSIONS, parameters).rowcount
        + unit.execute(_ATTEMPTS, parameters | {"window": longest_window}).rowcount
    )

"""Counts of attempts in fixed windows, by bucket: `code:phone:+15550001111`."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import UnitOfWork


class Count(NamedTuple):
    """How often in the current window, this time included, and the seconds until it is over."""

    bucket: str
    attempts: int
    seconds_left: int


# Rows are locked in the order of their names, so two sets of buckets never wait for each other.
_COUNT = text("""
    INSERT INTO attempt_counts AS c (bucket, window_started_at, attempts)
    SELECT bucket, now(), 1 FROM unnest(CAST(:buckets AS text[])) AS given (bucket) ORDER BY bucket
    ON CONFLICT (bucket) DO UPDATE SET
      attempts = CASE
        WHEN c.window_started_at <= now() - make_interval(secs => :seconds) THEN 1 ELSE c.attempts + 1 END,
      window_started_at = CASE
        WHEN c.window_started_at <= now() - make_interval(secs => :seconds) THEN now() ELSE c.window_started_at END
    RETURNING bucket, attempts,
      ceil(extract(epoch FROM window_started_at + make_interval(secs => :seconds) - now()))::integer
""")

_FORGIVE = text("""
    WITH held AS (
      SELECT bucket FROM attempt_counts WHERE bucket IN (:cleared, :lowered) ORDER BY bucket FOR UPDATE
    )
    UPDATE attempt_counts c SET attempts = CASE WHEN c.bucket = :cleared THEN 0 ELSE GREATEST(c.attempts - 1, 0) END
    FROM held WHERE c.bucket = held.bucket
""")


def count(unit: UnitOfWork, buckets: Collection[str], window_seconds: int) -> list[Count]:
    """Counts one attempt in each bucket; their rows stay locked until the unit ends."""
    rows = unit.execute(_COUNT, {"buckets": list(buckets), "seconds": window_seconds})
    return [Count._make(row) for row in rows]


def forgive(unit: UnitOfWork, cleared: str, lowered: str) -> None:
    """Empties one bucket and takes one attempt back from another."""
    unit.execute(_FORGIVE, {"cleared": cleared, "lowered": lowered})

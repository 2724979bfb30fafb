"""What sweeps have in common: only one runs at a time, and each remembers up to which message id it has looked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from app.infra.db import UnitOfWork, reading

# Ids are drawn from the clock while their transaction runs. Whatever commits later than this has a newer id, or its
# transaction, which is looked for, still runs.
_MARGIN_SECONDS = 10

_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended('sweep ' || :name, 0))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtextextended('sweep ' || :name, 0))")
_MARK = text("SELECT message_id FROM sweep_marks WHERE name = :name")
_MOVE = text("""
    INSERT INTO sweep_marks (name, message_id) VALUES (:name, :message_id)
    ON CONFLICT (name) DO UPDATE
    SET message_id = GREATEST(sweep_marks.message_id, EXCLUDED.message_id), updated_at = now()""")
_SET = text("""
    INSERT INTO sweep_marks (name, message_id) VALUES (:name, :place)
    ON CONFLICT (name) DO UPDATE SET message_id = EXCLUDED.message_id, updated_at = now()""")
# Only a transaction that has written has a backend_xid; long readers (a dump) hold nothing up, nor does autovacuum.
_HORIZON = text("""
    SELECT message_id_at(LEAST(
      clock_timestamp() - make_interval(secs => :margin),
      (SELECT min(xact_start) FROM pg_stat_activity
       WHERE datname = current_database() AND backend_type = 'client backend' AND backend_xid IS NOT NULL)))""")
_LAG = text("SELECT ((message_id_at(clock_timestamp()) - :message_id) >> 12) / 1000.0")


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Whether this is the only run of the sweep; the right to run ends with the block, or with the process.

    A lock of the session and not of a transaction: a transaction open for so long would hold back every cursor that
    waits for transactions that may still commit.
    """
    with reading() as unit:
        alone = bool(unit.execute(_TRY_LOCK, {"name": name}).scalar_one())
        try:
            yield alone
        finally:
            if alone:
                unit.execute(_UNLOCK, {"name": name})


def mark(unit: UnitOfWork, name: str) -> int | None:
    """The message id up to which the sweep has looked; None before its first run."""
    found: int | None = unit.execute(_MARK, {"name": name}).scalar_one_or_none()
    return found


def move_mark(unit: UnitOfWork, name: str, message_id: int) -> None:
    """Notes that all up to `message_id` was handled; never moves back."""
    unit.execute(_MOVE, {"name": name, "message_id": message_id})


def set_place(unit: UnitOfWork, name: str, place: int) -> None:
    """Notes where a sweep that goes around and around goes on: a key of what it looks through, 0 for the beginning."""
    unit.execute(_SET, {"name": name, "place": place})


def safe_horizon(unit: UnitOfWork) -> int:
    """A message id that no transaction still to commit can draw any more.

    What lies below is found only by a statement that begins after this one.
    """
    return int(unit.execute(_HORIZON, {"margin": _MARGIN_SECONDS}).scalar_one())


def lag_seconds(unit: UnitOfWork, message_id: int) -> float:
    """How far a mark is behind the database's clock."""
    return float(unit.execute(_LAG, {"message_id": message_id}).scalar_one())

"""SQL of keys in storage whose objects nobody needs, or may come to need: see RemovedObject."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.infra.db import UnitOfWork

_EXPECT = text("""
    INSERT INTO removed_objects (key, due_at) VALUES (:key, now() + make_interval(secs => :seconds))""")
# One that is due soon may be removed at this moment.
_CLAIM = text("DELETE FROM removed_objects WHERE key = :key AND due_at > clock_timestamp() + interval '5 minutes'")
_GIVE_UP = text("UPDATE removed_objects SET due_at = now() WHERE key = ANY (CAST(:keys AS text[]))")
_FORGET = text("DELETE FROM removed_objects WHERE key = ANY (CAST(:keys AS text[]))")

_REMOVE = text("""
    WITH gone AS (DELETE FROM file_objects WHERE file_id = ANY (CAST(:file_ids AS uuid[])) RETURNING key)
    INSERT INTO removed_objects (key) SELECT key FROM gone RETURNING key""")

_DUE = text("SELECT key FROM removed_objects WHERE due_at <= now() ORDER BY due_at LIMIT :batch")
_NOTE_UNKNOWN = text("""
    INSERT INTO removed_objects (key)
    SELECT key FROM unnest(CAST(:keys AS text[])) AS key
    WHERE NOT EXISTS (SELECT FROM file_objects o WHERE o.key = key.key)
      AND NOT EXISTS (SELECT FROM uploads u WHERE u.key = key.key)
    ON CONFLICT DO NOTHING RETURNING key""")


def expect(unit: UnitOfWork, key: str, seconds: int) -> None:
    """Notes a key before anything is stored under it: unless it is claimed within so long, its object is removed."""
    unit.execute(_EXPECT, {"key": key, "seconds": seconds})


def claim(unit: UnitOfWork, key: str) -> bool:
    """Keeps the object of a key that was expected; False where it may be removed already."""
    return unit.execute(_CLAIM, {"key": key}).rowcount == 1


def give_up(unit: UnitOfWork, keys: Sequence[str]) -> None:
    """Makes keys that were expected due now."""
    unit.execute(_GIVE_UP, {"keys": list(keys)})


def forget(unit: UnitOfWork, keys: Sequence[str]) -> None:
    """Forgets keys whose objects are gone."""
    unit.execute(_FORGET, {"keys": list(keys)})


def remove(unit: UnitOfWork, file_ids: Sequence[UUID]) -> list[str]:
    """Takes all objects from files, and has them removed; gives their keys."""
    return list(unit.execute(_REMOVE, {"file_ids": [str(file_id) for file_id in file_ids]}).scalars())


def due(unit: UnitOfWork, batch: int) -> list[str]:
    """Keys whose objects are to be removed now, those that have waited longest first."""
    return list(unit.execute(_DUE, {"batch": batch}).scalars())


def note_unknown(unit: UnitOfWork, keys: Sequence[str]) -> list[str]:
    """Has objects removed whose keys no row has; gives these keys."""
    return list(unit.execute(_NOTE_UNKNOWN, {"keys": list(keys)}).scalars())

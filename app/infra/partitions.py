"""The parts of `messages`: 28 days of ids each, made ahead of time, by native partitions or by TimescaleDB.

TimescaleDB makes its chunks itself; native parts are made by migration, at start and daily by beat. There is no
default partition on purpose: once it held rows, the range they belong to could not be added any more.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.engine import Connection

# Milliseconds of 28 days, shifted by the 12 bits of sequence that a message id ends with.
PART_WIDTH = 28 * 86_400_000 << 12
PARTS_AHEAD = 8
_LOCK = 0x706172746974  # "partit": one maker of parts at a time.

_IS_NATIVE = text("SELECT relkind = 'p' FROM pg_class WHERE oid = 'messages'::regclass")
_NOW = text("SELECT next_message_id() / :width")
_KNOWN = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'messages'::regclass"
)


def is_native(connection: Connection) -> bool:
    """Whether messages is partitioned natively (and not a hypertable)."""
    return bool(connection.scalar(_IS_NATIVE))


def parts_left(connection: Connection) -> int:
    """How many whole native parts lie ahead of now; PARTS_AHEAD for a hypertable, which never runs out."""
    if not is_native(connection):
        return PARTS_AHEAD
    current = int(connection.scalar(_NOW, {"width": PART_WIDTH}) or 0)
    return len([name for name in connection.scalars(_KNOWN) if int(name.rsplit("_", 1)[1]) > current])


def keep_ahead(connection: Connection, ahead: int = PARTS_AHEAD) -> list[str]:
    """Makes the missing native parts from the current one to `ahead` further; returns the names of new ones.

    Runs in the caller's transaction. A part is made alone and then attached, which takes only a light lock.
    """
    current = int(connection.scalar(_NOW, {"width": PART_WIDTH}) or 0)
    return _make_missing(connection, current, current + ahead)


def keep_back_to(connection: Connection, message_id: int) -> list[str]:
    """Makes the missing native parts from the one of `message_id` to the current one, for messages of the past."""
    current = int(connection.scalar(_NOW, {"width": PART_WIDTH}) or 0)
    return _make_missing(connection, message_id // PART_WIDTH, current)


def _make_missing(connection: Connection, first: int, last: int) -> list[str]:
    if not is_native(connection):
        return []
    connection.execute(text("SET LOCAL lock_timeout = '2s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    known = set(connection.scalars(_KNOWN))
    made = []
    for number in range(first, last + 1):
        name = f"messages_{number}"
        if name not in known:
            _attach(connection, name, number * PART_WIDTH)
            made.append(name)
    return made


def _attach(connection: Connection, name: str, first_id: int) -> None:
    end = first_id + PART_WIDTH
    connection.execute(
        text(
            f"CREATE TABLE {name} (LIKE messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS,"
            f" CONSTRAINT {name}_range CHECK (id >= {first_id} AND id < {end}))"
        )
    )
    connection.execute(text(f"ALTER TABLE messages ATTACH PARTITION {name} FOR VALUES FROM ({first_id}) TO ({end})"))
    connection.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT {name}_range"))

"""SQL of what sweeps look for: calls that ring too long, and devices that are in a call without a socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork


class Device(NamedTuple):
    """A person in a call that is not over, with which device, and whether that was without a socket before."""

    call_id: int
    user_id: int
    session_id: str
    is_gone: bool


_OVERDUE = Prepared(
    "call_overdue",
    ("bigint[]", "integer"),
    """
    SELECT c.id, extract(epoch FROM clock_timestamp() - c.deadline)::float8 FROM calls c
    WHERE c.state = 'ringing' AND c.deadline <= clock_timestamp()
      AND ($1 IS NULL OR c.caller_id = ANY ($1) OR c.callee_id = ANY ($1))
    ORDER BY c.deadline LIMIT $2""",
)

# Nobody is in two calls, so people are an order of all that are in one.
_DEVICES = Prepared(
    "call_devices",
    ("bigint", "integer"),
    """
    SELECT call_id, user_id, session_id::text, gone_since IS NOT NULL FROM call_participants
    WHERE left_at IS NULL AND session_id IS NOT NULL AND user_id > $1 ORDER BY user_id LIMIT $2""",
)

_MARK = """
    UPDATE call_participants p SET gone_since = {since}
    FROM unnest(CAST(:call_ids AS bigint[]), CAST(:user_ids AS bigint[]), CAST(:session_ids AS uuid[]))
      AS d (call_id, user_id, session_id)
    WHERE p.user_id = d.user_id AND p.call_id = d.call_id AND p.session_id = d.session_id AND p.left_at IS NULL"""
_MARK_GONE = text(_MARK.format(since="coalesce(gone_since, clock_timestamp())"))
_MARK_PRESENT = text(_MARK.format(since="NULL"))

# Few are gone; the rest is asked for each of these by keys, and so it stays (`OFFSET 0`).
_GONE = """
    FROM (
      SELECT call_id, user_id FROM call_participants
      WHERE left_at IS NULL AND gone_since <= clock_timestamp() - make_interval(secs => $1) OFFSET 0) p
    CROSS JOIN LATERAL (SELECT id, state, callee_id FROM calls WHERE id = p.call_id OFFSET 0) c"""
_DISCONNECTED = Prepared(
    "call_disconnected",
    ("integer", "integer"),
    f"""
    SELECT DISTINCT c.id, c.state {_GONE}
    WHERE c.callee_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM (SELECT * FROM call_participants WHERE call_id = c.id OFFSET 0) d
      WHERE d.left_at IS NULL AND d.session_id IS NOT NULL
        AND (d.gone_since > clock_timestamp() - make_interval(secs => $1)) IS NOT FALSE OFFSET 0)
    ORDER BY c.id LIMIT $2""",
)
# In a group each for oneself.
_STRAYED = Prepared(
    "call_strayed",
    ("integer", "integer"),
    f"SELECT p.call_id, p.user_id {_GONE} WHERE c.callee_id IS NULL ORDER BY p.call_id, p.user_id LIMIT $2",
)


def overdue(unit: UnitOfWork, limit: int, user_ids: Sequence[int] | None = None) -> list[tuple[int, float]]:
    """Calls whose time to ring is over, of these people only where some are named, and since how many seconds."""
    found = _OVERDUE.rows(unit.connection, None if user_ids is None else list(user_ids), limit)
    return [(row[0], row[1]) for row in found]


def devices(unit: UnitOfWork, after: int, limit: int) -> list[Device]:
    """Devices in calls that ring or go on, of people past `after`, by person."""
    return [Device._make(row) for row in _DEVICES.rows(unit.connection, after, limit)]


def mark_gone(unit: UnitOfWork, found: Sequence[Device]) -> None:
    """Notes that the devices have no socket, from now on where that is new."""
    unit.execute(_MARK_GONE, _arrays(found))


def mark_present(unit: UnitOfWork, found: Sequence[Device]) -> None:
    """Notes that the devices have a socket."""
    unit.execute(_MARK_PRESENT, _arrays(found))


def _arrays(found: Sequence[Device]) -> dict[str, object]:
    return {
        "call_ids": [device.call_id for device in found],
        "user_ids": [device.user_id for device in found],
        "session_ids": [device.session_id for device in found],
    }


def disconnected(unit: UnitOfWork, seconds: int, limit: int) -> list[tuple[int, str]]:
    """Direct calls of which all devices are gone for so long, and their states."""
    return [(row[0], row[1]) for row in _DISCONNECTED.rows(unit.connection, seconds, limit)]


def strayed(unit: UnitOfWork, seconds: int, limit: int) -> list[tuple[int, int]]:
    """Whose device is gone for so long in which group call."""
    return [(row[0], row[1]) for row in _STRAYED.rows(unit.connection, seconds, limit)]

"""Who is online, from the life of connections: leases in Redis, changes told to those who may see them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from app.errors import AppError
from app.infra import presence as leases
from app.infra.db import unit_of_work
from app.infra.presence import Change, Status
from app.infra.times import rfc3339
from app.realtime import events, queries
from config import settings

log = structlog.get_logger(__name__)

_ATTEMPTS = 3
# When thousands of sockets come or end at once, neither the leases nor telling of them must take all connections to
# Redis and PostgreSQL.
_leasing = threading.BoundedSemaphore(8)
_telling = threading.BoundedSemaphore(4)


def lease_seconds() -> int:
    """How long a lease outlives its last renewal: two heartbeats, so that one lost does no harm."""
    return 2 * settings().ws_heartbeat


def connected(user_id: int, connection_id: str, is_here: Callable[[], bool]) -> None:
    """A connection came up; `is_here` tells whether it still is."""
    _renew(user_id, connection_id, is_here, "online")


def renewed(user_id: int, connection_id: str, is_here: Callable[[], bool]) -> None:
    """A connection showed life; `is_here` tells whether it still is."""
    _renew(user_id, connection_id, is_here, None)


def _renew(user_id: int, connection_id: str, is_here: Callable[[], bool], status: Status | None) -> None:
    with _leasing:
        change = leases.renew(user_id, connection_id, lease_seconds(), status)
    _tell(user_id, change)
    if not is_here():
        # It went while this waited for its turn: the lease may have been ended before it began.
        disconnected(user_id, connection_id)


def shows(user_id: int, connection_id: str, status: Status) -> None:
    """A client says what its person shows."""
    _tell(user_id, leases.renew(user_id, connection_id, lease_seconds(), status))


def disconnected(user_id: int, connection_id: str) -> None:
    """A connection is gone."""
    with _leasing:
        change = leases.end(user_id, connection_id)
    _tell(user_id, change)


def sweep() -> int:
    """Ends what crashed processes left: people whose leases ran out go offline; how many."""
    expired = leases.expired()
    for user_id in expired:
        _tell(user_id, leases.settle(user_id))
    return len(expired)


def _tell(user_id: int, change: Change) -> None:
    """Tells a change to those online who may see it; tried again for a while where PostgreSQL is busy or away."""
    if change.before == change.after:
        return
    holds = change.after
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _telling:
                told = _tell_now(user_id, holds == "offline")
        except AppError as error:
            log.warning("presence_not_told", user_id=user_id, error=error.code, attempt=attempt)
            time.sleep(attempt)
            continue
        # What is told goes out after the lock is given back, where a later change may overtake it.
        holds = leases.statuses([user_id])[user_id]
        if told == holds:
            return


def _tell_now(user_id: int, is_leaving: bool) -> Status:
    """Tells what a person shows now, and gives it."""
    with unit_of_work() as unit:
        last_seen_at = rfc3339(queries.last_seen(unit, user_id, is_leaving))
        # Looked at under the lock: of two changes at the same moment, the later one tells what holds.
        status = leases.statuses([user_id])[user_id]
        audience = leases.online(queries.presence_audience(unit, user_id))
        events.presence_changed(unit, user_id, status, last_seen_at, sorted(audience))
    return status

"""Who is online, from the life of connections: leases in Redis, changes told to those who may see them."""

from __future__ import annotations

import threading
import time

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
# When thousands of sockets end at once, telling of it must not take all connections to PostgreSQL.
_telling = threading.BoundedSemaphore(4)


def lease_seconds() -> int:
    """How long a lease outlives its last renewal: two heartbeats, so that one lost does no harm."""
    return 2 * settings().ws_heartbeat


def connected(user_id: int, connection_id: str) -> None:
    """A connection came up."""
    _tell(user_id, leases.renew(user_id, connection_id, lease_seconds(), "online"))


def renewed(user_id: int, connection_id: str) -> None:
    """A connection showed life."""
    _tell(user_id, leases.renew(user_id, connection_id, lease_seconds()))


def shows(user_id: int, connection_id: str, status: Status) -> None:
    """A client says what its person shows."""
    _tell(user_id, leases.renew(user_id, connection_id, lease_seconds(), status))


def disconnected(user_id: int, connection_id: str) -> None:
    """A connection is gone."""
    _tell(user_id, leases.end(user_id, connection_id))


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
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _telling:
                _tell_now(user_id, change.after == "offline")
        except AppError as error:
            log.warning("presence_not_told", user_id=user_id, error=error.code, attempt=attempt)
            time.sleep(attempt)
        else:
            return


def _tell_now(user_id: int, is_leaving: bool) -> None:
    with unit_of_work() as unit:
        last_seen_at = rfc3339(queries.last_seen(unit, user_id, is_leaving))
        # Looked at under the lock: of two changes at the same moment, the one told last is the one that holds.
        status = leases.statuses([user_id])[user_id]
        audience = leases.online(queries.presence_audience(unit, user_id))
        events.presence_changed(unit, user_id, status, last_seen_at, sorted(audience))

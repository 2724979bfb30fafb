"""Hands to sockets what waits for them in calls: how theirs stands, and what the other device has said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import gevent
import structlog

from app.calls import service
from app.calls.service import CallRow
from app.errors import AppError
from app.infra.db import reading
from app.realtime.connection import Connection
from app.realtime.opening import live_call
from app.realtime.wire import text_frame
from config import settings

log = structlog.get_logger(__name__)

_CHUNK = 1000
_PAUSE_AFTER_FAILURE = 1.0
# Calls and sockets for which what could not be read is to be read again.
_to_try_again: set[tuple[int, Connection]] = set()


def tell_live(connections: Sequence[Connection]) -> None:
    """Tells sockets that have just been greeted how their person's call stands, and what the other device has said."""
    for start in range(0, len(connections), _CHUNK):
        chunk = connections[start : start + _CHUNK]
        with reading() as unit:
            live = service.live_calls(unit, sorted({connection.user_id for connection in chunk}))
        for connection in chunk:
            row = live.get(connection.user_id)
            if row is not None:
                _tell_of(row, connection)


def tell_live_to(connection: Connection) -> None:
    """Tells one socket the same, asked together with others that open at the same moment."""
    row = live_call(connection.user_id)
    if row is not None:
        _tell_of(row, connection)


def _tell_of(row: CallRow, connection: Connection) -> None:
    event = service.event_of_now(row, connection.user_id, connection.caller.session_id)
    if event is not None:
        connection.deliver(text_frame(event))
    if row.callee_id is not None:
        tell_signals(row.id, [connection])


def tell_signals(call_id: int, connections: Iterable[Connection]) -> None:
    """Tells sockets of a device in a call what they have not been told yet, in order.

    What cannot be read now is read a moment later, for as long as it is kept.
    """
    for connection in connections:
        _try_to_tell(call_id, connection, int(settings().call_signal_expiry / _PAUSE_AFTER_FAILURE))


def _try_to_tell(call_id: int, connection: Connection, tries: int) -> None:
    try:
        _tell_signals(call_id, connection)
    except AppError as error:
        log.warning("signals_wait", call_id=call_id, error=error.code)
        if tries and (call_id, connection) not in _to_try_again:
            _to_try_again.add((call_id, connection))
            gevent.spawn_later(_PAUSE_AFTER_FAILURE, _try_again, call_id, connection, tries - 1)


def _try_again(call_id: int, connection: Connection, tries: int) -> None:
    # First: what is said from here on, and cannot be read, may be too late for this reading.
    _to_try_again.discard((call_id, connection))
    if not connection.closing:
        _try_to_tell(call_id, connection, tries)


def _tell_signals(call_id: int, connection: Connection) -> None:
    caller = connection.caller
    waiting = service.waiting_signals(caller.user_id, caller.session_id, call_id, _told(connection, call_id))
    for signal_id, frame in waiting:
        # Whoever else asked meanwhile has told some of them.
        if signal_id > _told(connection, call_id):
            connection.signal_ids = {call_id: signal_id}
            connection.deliver(text_frame(frame))


def _told(connection: Connection, call_id: int) -> int:
    return (connection.signal_ids or {}).get(call_id, 0)

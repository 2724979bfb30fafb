"""The heartbeat of a hub: pings who is silent, closes who is gone or no longer signed in, renews leases."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from functools import partial

import gevent
import structlog

from app.errors import AppError
from app.infra.db import reading
from app.infra.threads import give_way
from app.realtime import presence, queries
from app.realtime.connection import Connection
from app.realtime.lease_keeper import LeaseKeeper
from app.realtime.wire import PING, CloseCode
from config import settings

log = structlog.get_logger(__name__)

_LONGEST_TICK = 1.0


class Heartbeat:
    """Looks after the connections of a hub, from its making on."""

    def __init__(self, connections: Set[Connection], close_session: Callable[[str], None]) -> None:
        """`connections` is the hub's own set, which changes while it is looked after."""
        self._connections = connections
        self._close_session = close_session
        self._sessions_checked_at = time.monotonic()
        self._leases = LeaseKeeper(connections)
        self._leases.look()
        gevent.spawn(self._beat)

    def check_sessions(self) -> None:
        """Closes sockets of sessions that were signed out while nobody could tell us."""
        sessions = {connection.caller.session_id for connection in self._connections}
        if not sessions:
            return
        with reading() as unit:
            live = queries.live_sessions(unit, sorted(sessions))
        for session_id in sessions - live:
            self._close_session(session_id)

    def put_leases_back(self) -> None:
        """Renews all leases: Redis may have come back with what it knew some time ago."""
        self._leases.put_back()

    def _beat(self) -> None:
        while True:
            # Often enough that a ping is never late enough to make an answering client look silent.
            tick = min(_LONGEST_TICK, settings().ws_heartbeat / 10)
            asleep_at = time.monotonic()
            gevent.sleep(tick)
            self._excuse(time.monotonic() - asleep_at - tick)
            self._leases.look()
            try:
                self._check_heartbeats()
                if time.monotonic() - self._sessions_checked_at >= settings().ws_heartbeat:
                    self._sessions_checked_at = time.monotonic()
                    # Not here: pings must not wait for PostgreSQL.
                    gevent.spawn(self._recheck_sessions)
            except Exception as error:
                # The beat must go on whatever happens to one connection or query.
                log.warning("heartbeat_failed", error=type(error).__name__)

    def _recheck_sessions(self) -> None:
        try:
            self.check_sessions()
        except AppError as error:
            log.warning("sessions_not_checked", error=error.code)

    def _excuse(self, stood_still: float) -> None:
        """Gives clients the seconds back in which this process did not run: their answers may lie unread."""
        for connection in self._connections:
            if connection.pinged_at > connection.last_heard:
                connection.pinged_at += max(0.0, stood_still)

    def _check_heartbeats(self) -> None:
        heartbeat = settings().ws_heartbeat
        now, unix_now = time.monotonic(), time.time()
        for index, connection in enumerate(list(self._connections)):
            if connection.caller.expires_at <= unix_now:
                connection.close(CloseCode.UNAUTHENTICATED, "token expired")
            elif connection not in self._connections:
                continue
            elif connection.pinged_at > connection.last_heard and now - connection.pinged_at >= heartbeat:
                connection.close(CloseCode.NO_HEARTBEAT, "no heartbeat")
            elif now - connection.renewed_at >= heartbeat:
                connection.renewed_at = now
                # Asked before the next ping: a client that only answers was heard last right after the one before.
                has_answered = connection.pinged_at <= connection.last_heard
                if has_answered:
                    connection.pinged_at = now
                connection.send(PING)
                if has_answered:
                    # Not here: pings must not wait for Redis or PostgreSQL.
                    is_here = partial(self._connections.__contains__, connection)
                    gevent.spawn(presence.connected, connection.caller, connection.id, is_here)
            if index % 100 == 99:
                give_way()
                now = time.monotonic()

"""Puts a process's leases back where Redis has lost them: emptied, it would know nobody until the next heartbeats."""

from __future__ import annotations

import secrets
from collections.abc import Sequence, Set

import gevent
import structlog

from app.infra import hub_notes
from app.realtime import presence
from app.realtime.connection import Connection

log = structlog.get_logger(__name__)


class LeaseKeeper:
    """Looks whether Redis has the leases of a hub, by the note that the hub leaves there."""

    def __init__(self, connections: Set[Connection]) -> None:
        """`connections` is the hub's own set."""
        self._connections = connections
        self._hub_id = secrets.token_hex(8)
        self._is_noted = self._is_looking = False

    def look(self) -> None:
        """Looks now, unless that is being done; never waits."""
        if not self._is_looking:
            self._is_looking = True
            gevent.spawn(self._look)

    def put_back(self) -> bool:
        """Renews all leases; False where Redis did not take all."""
        return self._renew([connection for connection in self._connections if connection.ready])

    def _look(self) -> None:
        try:
            failed = presence.take_failed()
            self._is_noted = self._is_noted and hub_notes.keep(self._hub_id)
            if self._is_noted:
                self._renew([connection for connection in self._connections if connection.id in failed])
            elif hub_notes.begin(self._hub_id):
                self._is_noted = self.put_back() and hub_notes.finish(self._hub_id)
        except Exception:
            self._is_noted = False
            log.exception("leases_not_kept")
        finally:
            self._is_looking = False

    def _renew(self, connections: Sequence[Connection]) -> bool:
        is_done = presence.put_back([(connection.caller, connection.id) for connection in connections])
        for connection in connections:
            if connection not in self._connections:
                # It went meanwhile, and its lease may have been ended before it was put back.
                gevent.spawn(presence.disconnected, connection.caller, connection.id)
        return is_done

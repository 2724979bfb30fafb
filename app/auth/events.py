"""What identity tells: that a session is over, so that its sockets are closed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from app.infra import bus
from app.infra.db import UnitOfWork


def sessions_revoked(unit: UnitOfWork, user_id: int, session_ids: Iterable[UUID]) -> None:
    """Orders every hub to close the sessions' sockets."""
    for session_id in session_ids:
        order: bus.Header = {"control": "session_revoked", "subject": str(session_id)}
        bus.publish(unit, bus.user_notifications(user_id), order)

"""Who is told what about blocks; the only publisher of the domain. Nobody is told of contacts."""

from __future__ import annotations

from app.infra import bus
from app.infra.db import UnitOfWork
from app.infra.presence import Status


def presence_shown(unit: UnitOfWork, viewer_id: int, user_id: int, status: Status, last_seen_at: str | None) -> None:
    """Tells one viewer what a person shows from now on; `offline`, never seen, stands for nothing at all."""
    frame = bus.encode("presence", {"user_id": user_id, "status": status, "last_seen_at": last_seen_at})
    bus.publish(unit, bus.user_status(viewer_id), {}, frame)

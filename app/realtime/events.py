"""Who is told of presence; the only publisher of the domain."""

from __future__ import annotations

from collections.abc import Iterable

from app.infra import bus
from app.infra.db import UnitOfWork


def presence_changed(
    unit: UnitOfWork, user_id: int, status: str, last_seen_at: str | None, audience: Iterable[int]
) -> None:
    """Tells the audience that a person came, went or is away."""
    frame = bus.encode("presence", {"user_id": user_id, "status": status, "last_seen_at": last_seen_at})
    content = bus.payload({}, frame)
    bus.publish_each(unit, [(bus.user_status(viewer), content) for viewer in audience])

"""Who is told what about files; the only publisher of the domain."""

from __future__ import annotations

from app.files.file import File
from app.infra import bus
from app.infra.db import UnitOfWork


def file_updated(unit: UnitOfWork, owner_id: int, file: File) -> None:
    """Tells the owner's devices what has become of a file; `file` is as the owner sees it."""
    bus.publish(unit, bus.user_notifications(owner_id), {}, bus.encode("file_updated", file))

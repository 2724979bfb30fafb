"""Avatars: pictures that were uploaded as any file."""

from __future__ import annotations

from uuid import UUID

from app.auth.queries import avatars
from app.errors import ValidationFailed
from app.infra import jobs
from app.infra.db import UnitOfWork


def use_avatar(unit: UnitOfWork, owner_id: int, old: UUID | None, new: UUID | None) -> None:
    """For who puts one picture in the place of another, whatever shows it: its row is held already.

    The old one is removed, by a job, unless something else shows it. Raises ValidationFailed where the new one is no
    picture of the person's that is ready.
    """
    if new == old:
        return
    if new is not None and not avatars.take(unit, owner_id, new):
        message = "no picture of yours, or it is not ready: wait for file_updated"
        raise ValidationFailed(errors=[{"field": "avatar_file_id", "message": message}])
    if old is not None:
        avatars.let_go(unit, old)
        jobs.enqueue(unit, jobs.RELEASE_FILE, file_id=str(old))

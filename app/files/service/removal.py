"""Removing files: their rows go, and the keys of their objects are noted, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.errors import Forbidden, NotFound
from app.files.queries import access, objects, removal
from app.infra import jobs
from app.infra.db import UnitOfWork


def delete_file(unit: UnitOfWork, owner_id: int, file_id: UUID) -> list[str]:
    """Deletes a person's file wherever it is shown; gives the keys to remove from storage once this has committed.

    From then on nobody gets it. Messages and chats that show it lose it one after the other, by a job. Raises NotFound,
    or Forbidden for others who may see it.
    """
    removal.drop_own_avatar(unit, owner_id, file_id)
    if not removal.lock_own(unit, owner_id, file_id):
        if access.may_see(unit, owner_id, file_id):
            raise Forbidden("Only its owner deletes a file.")
        raise NotFound("There is no such file of yours.")
    keys = objects.remove(unit, [file_id])
    if removal.unshown(unit, [file_id]):
        removal.delete(unit, [file_id])
    else:
        removal.mark(unit, [file_id])
        jobs.enqueue(unit, jobs.FORGET_FILE, file_id=str(file_id))
    return keys


def remove_unshown(unit: UnitOfWork, file_ids: Sequence[UUID]) -> list[str]:
    """Removes those of the files that no message and no avatar shows any more, for after what showed them is gone.

    Gives the keys to remove from storage once this has committed; a sweep removes those that nobody does. Whoever calls
    holds the rows of chats that it needs already.
    """
    gone = removal.unshown(unit, removal.lock(unit, file_ids))
    keys = objects.remove(unit, gone)
    removal.delete(unit, gone)
    return keys


def forget_deleted(unit: UnitOfWork, file_id: UUID) -> None:
    """Deletes the row of a deleted file once nothing shows it."""
    removal.delete(unit, removal.unshown(unit, [file_id]))

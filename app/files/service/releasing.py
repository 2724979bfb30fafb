"""The end of files that nothing shows any more: their rows go with the transaction, their objects right after it.

Keys are noted in the transaction that deletes the rows, and forgotten once storage has removed the objects; so whatever
dies in between is found from what is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.files.queries import objects, references
from app.files.service.removal import remove_unshown
from app.infra import jobs
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.storage import storage
from config import settings

_BATCH = 500
_MOST_BATCHES = 100


def hide_message(unit: UnitOfWork, chat_id: int, seq: int) -> None:
    """For whoever deletes a message: it shows its file no longer, which goes where nothing else shows it."""
    release(unit, references.hide_message(unit, chat_id, seq))


def release(unit: UnitOfWork, file_ids: Sequence[UUID]) -> int:
    """Removes those of the files that nothing shows; gives how many objects that leaves to remove from storage."""
    left, file_ids = 0, sorted(file_ids)  # All lock files in this order, over several batches too.
    for start in range(0, len(file_ids), _BATCH):
        batch = file_ids[start : start + _BATCH]
        left += len(remove_unshown(unit, batch))
        references.mark_in_use(unit, batch)
    if left:
        jobs.enqueue(unit, jobs.REMOVE_OBJECTS)
    return left


def release_one(file_id: UUID) -> None:
    """Removes a file that was an avatar, unless something shows it."""
    with unit_of_work() as unit:
        release(unit, [file_id])


def sweep_unused() -> None:
    """Removes files that were uploaded and never sent, and others that nothing has shown for as long."""
    for _ in range(_MOST_BATCHES):
        with unit_of_work() as unit:
            forgotten = references.forgotten(unit, settings().unsent_file_expiry, _BATCH)
            release(unit, forgotten)
        if len(forgotten) < _BATCH:
            break


def sweep_deleted() -> None:
    """Asks for what their owners have deleted to be taken from what shows it, where the job for that was lost."""
    with unit_of_work() as unit:
        for file_id in references.deleted(unit, _BATCH):
            jobs.enqueue(unit, jobs.FORGET_FILE, file_id=str(file_id))


def remove_objects() -> int:
    """Removes the objects whose keys are due, and then forgets the keys; gives how many. Raises Unavailable."""
    removed = 0
    for _ in range(_MOST_BATCHES):
        with unit_of_work() as unit:
            keys = objects.due(unit, _BATCH)
        if keys:
            # Two at once do no harm: what is gone already is no error, and no key comes a second time.
            storage().delete(keys)
            with unit_of_work() as unit:
                objects.forget(unit, keys)
        removed += len(keys)
        if len(keys) < _BATCH:
            break
    return removed

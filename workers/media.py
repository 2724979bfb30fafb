"""Jobs of files: looking at them, and the end of those that nothing shows."""

from __future__ import annotations

from uuid import UUID

from app.files.service import ending, histories, processing, releasing, sweeping, workplace
from app.infra import jobs
from app.messages import shown_files
from workers.base import sweep_each, task


@task(jobs.PROCESS_FILE, soft_limit=processing.longest_run(), hard_limit=processing.longest_run() + 10, is_kept=False)
def process_file(file_id: str) -> None:
    """Looks at an uploaded file, and tells what it is."""
    processing.process_file(UUID(file_id))


@task(jobs.RELEASE_FILE)
def release_file(file_id: str) -> None:
    """Removes a file that was an avatar, unless something else shows it."""
    releasing.release_one(UUID(file_id))


@task(jobs.RELEASE_HISTORY)
def release_history(chat_id: int) -> None:
    """Lets go of the files of a chat that has ended, or that both sides have cleared."""
    histories.release_history(chat_id)


@task(jobs.REMOVE_OBJECTS)
def remove_objects() -> None:
    """Removes the objects of deleted files from storage."""
    releasing.remove_objects()


@task(jobs.SWEEP_FILES)
def sweep_files() -> None:
    """Does what no job did: files nobody looked at, those that nothing shows, objects that are still there.

    Where a job is what does it, that is asked for again. Uploads that were never finished end here too. What waits for
    storage comes last.
    """
    sweep_each(
        processing.sweep_processing,
        shown_files.sweep_untold,
        histories.sweep_histories,
        releasing.sweep_unused,
        releasing.sweep_deleted,
        workplace.remove_abandoned,
        ending.sweep_expired,
        releasing.remove_objects,
    )


@task(jobs.SWEEP_STORAGE)
def sweep_storage() -> None:
    """Finds what storage holds and nobody knows of."""
    sweeping.sweep_storage()

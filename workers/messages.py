"""Jobs of messages: unread counts, and files that were looked at or deleted."""

from __future__ import annotations

from uuid import UUID

from app.infra import jobs
from app.messages import forgetting, shown_files, unread_jobs
from workers.base import task


@task(jobs.FANOUT_UNREAD)
def fan_out_unread() -> None:
    """Counts new messages for the members of the chats that were marked dirty."""
    unread_jobs.fan_out_marked()


@task(jobs.SWEEP_UNREAD)
def sweep_unread() -> None:
    """Counts what no job counted: it was lost with a worker, with Redis, or never enqueued."""
    unread_jobs.sweep()


@task(jobs.FORGET_FILE)
def forget_file(file_id: str) -> None:
    """Takes a file that its owner has deleted from the messages that show it."""
    forgetting.forget_file(UUID(file_id))


@task(jobs.TELL_OF_FILE)
def tell_of_file(file_id: str) -> None:
    """Gives messages that showed a file before it was looked at its kind, and tells their chats."""
    shown_files.tell_of_file(UUID(file_id))

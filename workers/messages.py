"""Jobs of messages: unread counts."""

from __future__ import annotations

from app.infra import jobs
from app.messages import unread_jobs
from workers.base import task


@task(jobs.FANOUT_UNREAD)
def fan_out_unread() -> None:
    """Counts new messages for the members of the chats that were marked dirty."""
    unread_jobs.marked.take_all()


@task(jobs.SWEEP_UNREAD)
def sweep_unread() -> None:
    """Counts what no job counted: it was lost with a worker, with Redis, or never enqueued."""
    unread_jobs.sweep()

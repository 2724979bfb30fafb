"""Jobs of chats."""

from __future__ import annotations

from app.chats import service
from app.infra import jobs
from workers.base import task


@task(jobs.TELL_MEMBERS)
def tell_members() -> None:
    """Shows large chats that have changed to their members who have a socket."""
    service.tell_marked()

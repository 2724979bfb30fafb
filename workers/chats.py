"""Jobs of chats."""

from __future__ import annotations

from app.chats import service
from app.infra import jobs
from workers.base import task


@task(jobs.TELL_MEMBERS)
def tell_members(chat_id: int) -> None:
    """Shows a large chat that has changed to its members who are online."""
    service.tell_online(chat_id)

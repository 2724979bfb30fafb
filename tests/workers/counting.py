"""Counting unread messages once more, as plainly as can be."""

from __future__ import annotations

from app.infra.db import reading
from app.messages import unread
from app.messages.unread_queries import Difference


def recount(*chat_ids: int) -> list[Difference]:
    """Members of the chats whose count is not what a recount gives."""
    with reading() as unit:
        return unread.recount(unit, chat_ids)

"""Which of a person's chats have changed since a revision; for catching up."""

from __future__ import annotations

from typing import NamedTuple

from app.chats import change_queries
from app.chats.schemas import Chat
from app.chats.service import present_chats
from app.infra.db import UnitOfWork


class ChatChanges(NamedTuple):
    """Chats as the person sees them now, ids of those that are gone from the list, and where this page ends.

    `last_revision` is None where nothing follows.
    """

    chats: list[Chat]
    removed_ids: list[int]
    last_revision: int | None


def changed_chats(
    unit: UnitOfWork, user_id: int, after: int, up_to: int, limit: int, removed_after: int
) -> ChatChanges:
    """A person's chats with a revision in (after, up_to], the least first, at most `limit`.

    Chats that went from the list up to `removed_after` are left out.
    """
    found = change_queries.changed(unit, user_id, after, up_to, limit + 1, removed_after)
    page = found[:limit]
    present = [chat.chat_id for chat in page if chat.is_listed]
    rows = change_queries.views(unit, user_id, present)
    return ChatChanges(
        present_chats(rows),
        [chat.chat_id for chat in page if not chat.is_listed],
        page[-1].revision if len(found) > limit else None,
    )

"""How chats that have changed are told; for catching up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.chats.schemas import Chat, ChatRemoved
from app.chats.service import present_chats


class ChangedChat(NamedTuple):
    """A chat of a person, its revision for that person, and how it looks: all NULL where it went from the list.

    `removed_revision` is that of its going.
    """

    chat_id: int
    revision: int
    removed_revision: int
    row: tuple[Any, ...]

    @property
    def is_listed(self) -> bool:
        """Whether it is in the person's list."""
        return self.row[0] is not None


class ChatChanges(NamedTuple):
    """Chats as the person sees them now, and those that are gone from the list."""

    chats: list[Chat]
    removed: list[ChatRemoved]


def present_changes(changed: Sequence[ChangedChat]) -> ChatChanges:
    """What clients are told of chats that changed, in their order."""
    return ChatChanges(
        present_chats([chat.row for chat in changed if chat.is_listed]),
        [{"chat_id": chat.chat_id, "revision": chat.removed_revision} for chat in changed if not chat.is_listed],
    )

"""What comes in and goes out of catching up."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from app.chats.message import Message
from app.chats.schemas import Chat, ChatRemoved
from app.web.input import Query, Text


class SyncQuery(Query):
    """Where the last answer ended; nothing for the first snapshot."""

    cursor: Annotated[Text, Field(max_length=512)] | None = None


class Changes(TypedDict):
    """What has changed past a cursor, oldest first.

    Rows may come twice: keep the one with the higher `revision`. Chats in `removed_chat_ids` are gone from the list;
    `removed_chats` has them with the revision of that, as `chat_removed` tells it.
    Ask again with `next_cursor` at once while `has_more`, and later from it.
    """

    chats: list[Chat]
    messages: list[Message]
    removed_chat_ids: list[int]
    removed_chats: list[ChatRemoved]
    next_cursor: str
    has_more: bool

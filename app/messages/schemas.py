"""What comes in and goes out of messages."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.chats.message import Message
from app.web.input import Body, Id, Query, Text
from config import settings


class NewMessage(Body):
    """A message to send. With `client_id` it is stored once, however often it is sent."""

    chat_id: Id
    text: Text | None = None
    file_id: UUID | None = None
    reply_to_id: Id | None = None
    client_id: UUID | None = None

    @model_validator(mode="after")
    def _has_content(self) -> NewMessage:
        if self.file_id is None and (self.text is None or not self.text.strip()):
            raise ValueError("a message needs text")
        if self.text is not None and len(self.text) > settings().max_message_length:
            raise ValueError(f"text: at most {settings().max_message_length} characters")
        return self


class HistoryQuery(Query):
    """Which part of a chat's history: the newest, or before, after or around a message."""

    before: Id | None = None
    after: Id | None = None
    around: Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50

    @model_validator(mode="after")
    def _one_anchor(self) -> HistoryQuery:
        if sum(anchor is not None for anchor in (self.before, self.after, self.around)) > 1:
            raise ValueError("give only one of before, after and around")
        return self


class HistoryPage(TypedDict):
    """Messages, newest first, and whether there are older and newer ones."""

    items: list[Message]
    has_more_before: bool
    has_more_after: bool

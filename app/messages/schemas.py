"""What comes in and goes out of messages."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, field_validator, model_validator
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


class EditMessage(Body):
    """What a message shall say instead."""

    text: Text

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("a message needs text")
        if len(text) > settings().max_message_length:
            raise ValueError(f"at most {settings().max_message_length} characters")
        return text


class DeleteQuery(Query):
    """Whom a message is deleted for."""

    scope: Annotated[Literal["me", "everyone"], Field(alias="for")] = "me"


class ForwardMessage(Body):
    """Where to send a message as well. With `client_id` it gets there once, however often it is sent."""

    chat_ids: Annotated[list[Id], Field(min_length=1, max_length=10, json_schema_extra={"uniqueItems": True})]
    client_id: UUID | None = None

    @field_validator("chat_ids")
    @classmethod
    def _each_once(cls, chat_ids: list[int]) -> list[int]:
        if len(set(chat_ids)) < len(chat_ids):
            raise ValueError("each chat once")
        return chat_ids


class Forwarded(TypedDict):
    """The new messages, in the order of `chat_ids`."""

    items: list[Message]


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

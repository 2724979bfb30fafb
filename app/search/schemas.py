"""What comes in and goes out of search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from app.chats.message import Message
from app.web.input import Id, Moment, Page, Text

SoughtText = Annotated[Text, StringConstraints(strip_whitespace=True), Field(max_length=256)]


class MessageSearch(Page):
    """Which messages to find: all that is given must be true of them."""

    q: SoughtText = ""
    chat_id: Id | None = None
    sender_id: Id | None = None
    message_type: Literal["text", "image", "video", "audio", "file"] | None = None
    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> MessageSearch:
        if not self.q and not any((self.sender_id, self.message_type, self.since, self.until)):
            raise ValueError("q: say what to look for, or give sender_id, message_type, since or until")
        return self


class Match(TypedDict):
    """A part of a snippet's text that was looked for, in UTF-16 code units, as JavaScript counts."""

    offset: int
    length: int


class Snippet(TypedDict):
    """A part of a message's text, as it was sent, which begins `offset` UTF-16 code units into it.

    Where the message has a file, its name is searched too, on a line of its own after the text.
    `matches` are in order and do not touch. All of it is plain text: nothing is escaped, nothing is markup.
    """

    text: str
    offset: int
    matches: list[Match]


class FoundMessage(TypedDict):
    """A message, and the part of it that shows why it was found."""

    message: Message
    snippet: Snippet


class ChatSearch(Page):
    """Which public groups and channels to find: beginnings of the words of their names, or their username."""

    q: Annotated[Text, StringConstraints(strip_whitespace=True), Field(min_length=1, max_length=64)]


class PublicChat(TypedDict):
    """A public group or channel as everybody sees it; `is_member` tells whether the caller is in it."""

    id: int
    type: Literal["group", "channel"]
    name: str
    username: str
    description: str | None
    avatar_url: str | None
    member_count: int
    is_member: bool

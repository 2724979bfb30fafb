"""What comes in and goes out of chats."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.chats.message import Message
from app.infra.times import Timestamp
from app.users.schemas import User
from app.web.input import Body, Id, Page, Text
from config import settings

ChatType = Literal["direct", "group", "channel"]
Role = Literal["owner", "admin", "member"]
ChatName = Annotated[Text, Field(min_length=1, max_length=128, pattern=r"\S")]


class Chat(TypedDict):
    """A chat as the caller sees it; the fields from `role` on are the caller's own."""

    id: int
    type: ChatType
    name: str | None
    username: str | None
    description: str | None
    avatar_url: str | None
    created_by: int | None
    created_at: Timestamp
    updated_at: Timestamp
    member_count: int
    last_seq: int
    last_message: Message | None
    peer: User | None
    role: Role
    unread_count: int
    is_pinned: bool
    is_muted: bool
    muted_until: Timestamp | None
    last_read_message_id: int | None
    last_read_seq: int
    revision: int


class ReadState(TypedDict):
    """How far the caller has read a chat."""

    last_read_message_id: int | None
    unread_count: int


class ChatQuery(Page):
    """Which of one's chats to list."""

    type: ChatType | None = None
    unread: bool = False


class NewChat(Body):
    """A chat to create; which fields are needed depends on `type`."""

    type: ChatType
    user_id: Id | None = None
    name: ChatName | None = None
    description: Annotated[Text, Field(max_length=1024)] | None = None
    member_ids: list[Id] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fields_fit_type(self) -> NewChat:
        if self.type == "direct":
            if self.user_id is None:
                raise ValueError("a direct chat needs user_id")
            if self.name is not None or self.description is not None or self.member_ids:
                raise ValueError("a direct chat takes user_id only")
        else:
            if self.name is None:
                raise ValueError("a group or channel needs a name")
            if self.user_id is not None:
                raise ValueError("a group or channel takes member_ids, not user_id")
        if len(self.member_ids) > settings().max_added_members:
            raise ValueError(f"member_ids: at most {settings().max_added_members} at once")
        return self


class MarkRead(Body):
    """Up to which message the caller has read; without one, all of them."""

    message_id: Id | None = None


class ReadReceiptFrame(Body):
    """The socket's way to mark messages as read."""

    chat_id: Id
    message_id: Id


class TypingFrame(Body):
    """The caller starts or stops typing."""

    chat_id: Id
    is_typing: bool

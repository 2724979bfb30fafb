"""What comes in and goes out of chats."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict

from app.auth.schemas import Username
from app.chats.message import Message
from app.infra.times import Timestamp
from app.users.schemas import User
from app.web.input import Body, Id, Moment, Page, Query, Text
from config import settings

ChatType = Literal["direct", "group", "channel"]
Role = Literal["owner", "admin", "member"]
DeliveryStatus = Literal["delivered", "read"]
ChatName = Annotated[Text, Field(min_length=1, max_length=128, pattern=r"\S")]
Description = Annotated[Text, Field(max_length=1024)]


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
    cleared_seq: int
    revision: int


class Member(TypedDict):
    """A person in a chat."""

    user: User
    role: Role
    joined_at: Timestamp


class ChatRemoved(TypedDict):
    """A chat is out of the user's list; a client that holds it with a higher revision knows that the user is back."""

    chat_id: int
    revision: int


class ReadState(TypedDict):
    """How far the caller has read a chat."""

    last_read_message_id: int | None
    last_read_seq: int
    unread_count: int


class ReadReceipt(TypedDict):
    """A member has read up to a message, which has this `seq`."""

    chat_id: int
    user_id: int
    message_id: int
    seq: int
    read_at: Timestamp


class ChatQuery(Page):
    """Which of one's chats to list."""

    type: ChatType | None = None
    unread: bool = False


class NewChat(Body):
    """A chat to create; which fields are needed depends on `type`."""

    type: ChatType
    user_id: Id | None = None
    name: ChatName | None = None
    description: Description | None = None
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


class ChatChange(Body):
    """What to change of a chat: absent fields stay, null clears; without a username the chat is private."""

    # Factories, because a default in the documentation would look like what an absent field means.
    name: ChatName = Field(default_factory=str)
    description: Description | None = Field(default_factory=lambda: None)
    username: Username | None = Field(default_factory=lambda: None)
    avatar_file_id: UUID | None = Field(default_factory=lambda: None)


class Extent(Query):
    """Whether it is for the caller alone or, in a direct chat, for both."""

    for_everyone: bool = False


class MemberQuery(Page):
    """Which members to list."""


class NewMembers(Body):
    """Whom to add."""

    user_ids: Annotated[list[Id], Field(min_length=1)]

    @model_validator(mode="after")
    def _not_too_many(self) -> NewMembers:
        if len(self.user_ids) > settings().max_added_members:
            raise ValueError(f"user_ids: at most {settings().max_added_members} at once")
        return self


class RoleChange(Body):
    """The role that a member is to have."""

    role: Role


class Pin(Body):
    """Whether the chat stands at the top of the list."""

    pinned: bool


def _in_the_future(moment: datetime) -> datetime:
    if moment <= datetime.now(UTC):
        raise ValueError("must lie in the future")
    return moment


Future = Annotated[Moment, AfterValidator(_in_the_future)]
"""A time to come (RFC 3339), in UTC."""


class Mute(Body):
    """Whether the chat is muted, and until when; for good without `until`."""

    muted: bool
    until: Future | None = None

    @model_validator(mode="after")
    def _until_belongs_to_muted(self) -> Mute:
        if self.until is not None and not self.muted:
            raise ValueError("until: only what is muted ends")
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

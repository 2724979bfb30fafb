"""Every frame that clients send and every event that they receive; AsyncAPI is made from it."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.calls import socket as calls_socket
from app.calls.schemas import CallEvent
from app.chats import socket as chats_socket
from app.chats.message import Message
from app.chats.schemas import Chat, ChatRemoved, DeliveryStatus, ReadReceipt, Role
from app.errors import FieldError
from app.files.file import File
from app.infra.db import reading
from app.infra.times import Timestamp
from app.messages import receipt_socket
from app.messages import socket as messages_socket
from app.realtime import presence
from app.web.authentication import require_live_session
from app.web.input import Body, Text
from app.web.socket import EventSpec, FrameContext, FrameSpec


class PresenceFrame(Body):
    """What the caller's person shows on this connection."""

    status: Literal["online", "offline", "away"]


class AuthFrame(Body):
    """A fresh access token of the same session for this connection."""

    token: Annotated[Text, Field(max_length=4096)]


class PingFrame(Body):
    """Nothing."""


class Hello(TypedDict):
    """The first event, and again when the client should sync from its cursor because events may have been lost."""

    user_id: int
    session_id: str
    cursor: str
    heartbeat_seconds: int


class Ack(TypedDict):
    """The answer to a frame with a `ref`: the `ref`, and beside it the fields of what was done."""

    ref: str | int


class Error(TypedDict):
    """Why a frame was refused; `code` is one of the REST API's."""

    ref: NotRequired[str | int]
    code: str
    detail: str
    errors: NotRequired[list[FieldError]]
    retry_after: NotRequired[int]


class MessageDeleted(TypedDict):
    """Messages are gone; what replies to them stays."""

    chat_id: int
    message_ids: list[int]
    revision: int


class MessageStatus(TypedDict):
    """What the receiver wrote up to a message has arrived at a member, or was read there.

    `user_id` says whose, and is null in groups of more than 200.
    """

    chat_id: int
    up_to_message_id: int
    status: DeliveryStatus
    user_id: int | None


class Typing(TypedDict):
    """A member types, or no more; without a further sign it ends after 10 s."""

    chat_id: int
    user_id: int
    is_typing: bool


class Presence(TypedDict):
    """A person came, went or is away."""

    user_id: int
    status: Literal["online", "offline", "away"]
    last_seen_at: Timestamp | None


class MemberUpdated(TypedDict):
    """A person's role in a chat; null for who is gone."""

    chat_id: int
    user_id: int
    role: Role | None


class Unread(TypedDict):
    """How many messages of a chat the user has not read; nothing that is older than the highest `revision` seen."""

    chat_id: int
    unread_count: int
    revision: int


class Pong(TypedDict):
    """Nothing; the server is there."""


def show_presence(context: FrameContext, data: PresenceFrame) -> None:
    """Shows the caller as online, away or offline."""
    with reading() as unit:
        require_live_session(unit, context.caller)
    presence.shows(context.caller, context.connection_id, data.status)


CLIENT_FRAMES: dict[str, FrameSpec] = {
    **messages_socket.FRAMES,
    **receipt_socket.FRAMES,
    **chats_socket.FRAMES,
    "presence": FrameSpec(
        PresenceFrame, None, show_presence, "Show yourself as online, away or offline.", action="presence"
    ),
    **calls_socket.FRAMES,
    "auth": FrameSpec(
        AuthFrame,
        None,
        None,
        "A fresh access token for this connection, before the old one expires.",
        action="requests",
    ),
    "ping": FrameSpec(PingFrame, None, None, "Ask for a `pong`."),
}

SERVER_EVENTS: dict[str, EventSpec] = {
    "hello": EventSpec(Hello, "The first event; once more when you should sync, because events may have been lost."),
    "ack": EventSpec(Ack, "A frame with this `ref` was done; its result stands beside the `ref`."),
    "error": EventSpec(Error, "A frame was refused."),
    "pong": EventSpec(Pong, "The answer to `ping`."),
    "new_message": EventSpec(Message, "A message was sent to one of your chats."),
    "message_updated": EventSpec(Message, "A message was edited."),
    "message_deleted": EventSpec(MessageDeleted, "Messages were deleted, for everyone or by you for yourself."),
    "message_status": EventSpec(MessageStatus, "Your messages up to one have arrived at a member, or were read there."),
    "read_receipt": EventSpec(ReadReceipt, "A member has read up to a message."),
    "typing": EventSpec(Typing, "A member types, or no more.", droppable=True),
    "presence": EventSpec(Presence, "A person came, went or is away.", droppable=True),
    "unread": EventSpec(Unread, "How many messages of a chat you have not read."),
    "chat_updated": EventSpec(Chat, "A chat of yours is new or has changed."),
    "chat_removed": EventSpec(ChatRemoved, "A chat is out of your list."),
    "file_updated": EventSpec(File, "A file of yours was looked at: it is ready, or has failed."),
    "member_updated": EventSpec(MemberUpdated, "Somebody came to a chat, is gone from it, or has another role."),
    "call": EventSpec(CallEvent, "Something happened to a call of yours, or the other device said something."),
}

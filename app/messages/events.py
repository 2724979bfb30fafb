"""Who is told what about messages; the only publisher of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.chats.message import Message
from app.infra import bus
from app.infra.db import UnitOfWork
from app.messages.status_queries import Change


def new_message_frame(message_json: bytes) -> bytes:
    """The finished frame of a new message, from the JSON that its sender is answered with."""
    return b'{"event":"new_message","data":' + message_json + b"}"


def message_deleted_frame(chat_id: int, message_ids: Sequence[int], revision: int) -> bytes:
    """The finished frame that takes messages away."""
    data = {"chat_id": chat_id, "message_ids": list(message_ids), "revision": revision}
    return bus.encode("message_deleted", data)


def message_sent(
    chat_id: int, seq: int, members_revision: int, message_json: bytes, except_connection: str | None
) -> None:
    """Tells a chat of a message that has been committed; never waits."""
    header: bus.Header = {"members_revision": members_revision, "seq": seq}
    if except_connection is not None:
        header["except_connection"] = except_connection
    bus.send(bus.chat_messages(chat_id), bus.payload(header, new_message_frame(message_json)))


def message_updated(unit: UnitOfWork, members_revision: int, message: Message, hidden_from: list[int]) -> None:
    """Tells a chat that a message was edited; it arrives after the message itself.

    Those from whom it is hidden, as they have deleted it for themselves, do not learn its new text.
    """
    header: bus.Header = {"members_revision": members_revision, "after_seq": message["seq"]}
    if hidden_from:
        header["except_users"] = hidden_from
    bus.publish(unit, bus.chat_messages(message["chat_id"]), header, bus.encode("message_updated", message))


def message_deleted(
    unit: UnitOfWork, members_revision: int, chat_id: int, message_id: int, seq: int, revision: int
) -> None:
    """Tells a chat that a message is deleted for everyone; it arrives after the message itself."""
    header: bus.Header = {"members_revision": members_revision, "after_seq": seq}
    frame = message_deleted_frame(chat_id, [message_id], revision)
    bus.publish(unit, bus.chat_messages(chat_id), header, frame)


def message_deleted_for_one(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int, revision: int) -> None:
    """Tells the devices of whoever deleted a message for oneself."""
    frame = message_deleted_frame(chat_id, [message_id], revision)
    bus.publish(unit, bus.user_notifications(user_id), {}, frame)


def statuses_changed(unit: UnitOfWork, changes: Iterable[Change]) -> None:
    """Tells the devices of authors that what they wrote up to a message has arrived or was read, not by whom."""
    for change in changes:
        data = {
            "chat_id": change.chat_id,
            "up_to_message_id": change.message_id,
            "status": change.status,
            "user_id": None,
        }
        bus.publish(unit, bus.user_notifications(change.author_id), {}, bus.encode("message_status", data))

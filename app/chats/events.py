"""Who is told what about chats; the only publisher of the domain."""

from __future__ import annotations

from collections.abc import Iterable

from app.chats.message import Message
from app.chats.schemas import Chat
from app.infra import bus
from app.infra.db import UnitOfWork


def chat_joined(unit: UnitOfWork, chat_id: int, views: Iterable[tuple[int, Chat]]) -> None:
    """Tells new members of their chat, each as seen by them; their hubs begin to hand them its events."""

    def content(chat: Chat) -> bytes:
        header: bus.Header = {"control": "chat_joined", "subject": chat_id, "seq": chat["last_seq"]}
        return bus.payload(header, bus.encode("chat_updated", chat))

    bus.publish_each(unit, [(bus.user_notifications(user_id), content(chat)) for user_id, chat in views])


def notice_posted(notice: Message, members_revision: int) -> None:
    """Tells a chat of a service message that has been committed; never waits."""
    header: bus.Header = {"members_revision": members_revision, "seq": notice["seq"]}
    bus.send(bus.chat_messages(notice["chat_id"]), bus.payload(header, bus.encode("new_message", notice)))


def messages_read(
    unit: UnitOfWork, chat_id: int, members_revision: int, user_id: int, message_id: int, read_at: str
) -> None:
    """Tells a small chat that a member has read up to a message."""
    data = {"chat_id": chat_id, "user_id": user_id, "message_id": message_id, "read_at": read_at}
    header: bus.Header = {"members_revision": members_revision}
    bus.publish(unit, bus.chat_messages(chat_id), header, bus.encode("read_receipt", data))


def unread_changed(unit: UnitOfWork, user_id: int, chat_id: int, unread_count: int) -> None:
    """Tells a member's devices the new unread count of a chat."""
    frame = bus.encode("unread", {"chat_id": chat_id, "unread_count": unread_count})
    bus.publish(unit, bus.user_notifications(user_id), {}, frame)


def typing(chat_id: int, members_revision: int, user_id: int, is_typing: bool, connection_id: str | None) -> None:
    """Tells a chat that a member types or has stopped; nothing is stored, so nothing waits for a commit."""
    frame = bus.encode("typing", {"chat_id": chat_id, "user_id": user_id, "is_typing": is_typing})
    header: bus.Header = {"members_revision": members_revision, "except_connection": connection_id}
    bus.send(bus.chat_typing(chat_id), bus.payload(header, frame))

"""Who is told what about chats; the only publisher of the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.chats.message import Message
from app.chats.schemas import Chat, DeliveryStatus, ReadReceipt
from app.infra import bus, presence
from app.infra.db import UnitOfWork

# So many people are told whether or not they have a socket; of more, it is asked in batches who has one.
_FEW = 200
_BATCH = 1000


def chat_joined(unit: UnitOfWork, chat_id: int, views: Iterable[tuple[int, Chat, bool]]) -> None:
    """Tells new members of their chat, each as seen by them, where it is in their list.

    The hubs of all of them begin to hand them its events: the first message brings a direct chat into the list.
    """

    def content(chat: Chat, is_listed: bool) -> bytes:
        header: bus.Header = {"control": "chat_joined", "subject": chat_id, "seq": chat["last_seq"]}
        return bus.payload(header, bus.encode("chat_updated", chat) if is_listed else b"")

    bus.publish_each(
        unit, [(bus.user_notifications(user_id), content(chat, is_listed)) for user_id, chat, is_listed in views]
    )


def chat_updated(unit: UnitOfWork, views: Iterable[tuple[int, Chat]]) -> None:
    """Tells members how their chat looks now, each as seen by them."""
    bus.publish_each(
        unit,
        [
            (bus.user_notifications(user_id), bus.payload({}, bus.encode("chat_updated", chat)))
            for user_id, chat in views
        ],
    )


def chat_left(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int], revision: int) -> None:
    """Tells former members that they are out; their hubs hand them nothing of the chat any more.

    `revision` is past that of the chat as they saw it before, and below that of the chat when they are back.
    """
    header: bus.Header = {"control": "chat_left", "subject": chat_id, "members_revision": revision}
    content = bus.payload(header, bus.encode("chat_removed", {"chat_id": chat_id, "revision": revision}))

    def tell() -> None:
        for start in range(0, len(user_ids), _BATCH):
            batch = user_ids[start : start + _BATCH]
            # Of many, most are away. To tell all would push out what else waits for Redis to be back.
            receivers = presence.connected(batch) if len(user_ids) > _FEW else batch
            if receivers is None:
                bus.tell_to_sync()
                return
            for user_id in receivers:
                bus.send(bus.user_notifications(user_id), content)

    unit.after_commit(tell)


def receivers_unknown(unit: UnitOfWork) -> None:
    """Has all clients sync: a chat has changed, and Redis does not tell which of its many members have a socket."""
    unit.after_commit(bus.tell_to_sync)


def chat_removed(unit: UnitOfWork, chat_id: int, revisions: Mapping[int, int]) -> None:
    """Tells people that a direct chat is out of their lists until its next message, which they do receive.

    `revisions` has for each person the revision of that, which is past that of the chat as it was seen before.
    """
    bus.publish_each(
        unit,
        [
            (
                bus.user_notifications(user_id),
                bus.payload({}, bus.encode("chat_removed", {"chat_id": chat_id, "revision": revision})),
            )
            for user_id, revision in revisions.items()
        ],
    )


def members_updated(
    unit: UnitOfWork, chat_id: int, chat_type: str, members_revision: int, roles: Mapping[int, str | None]
) -> None:
    """Tells a group who has which role now, None for who is gone; of a channel only these people are told."""
    header: bus.Header = {"members_revision": members_revision}
    for user_id, role in roles.items():
        frame = bus.encode("member_updated", {"chat_id": chat_id, "user_id": user_id, "role": role})
        if chat_type == "channel":
            bus.publish(unit, bus.user_notifications(user_id), {}, frame)
        else:
            bus.publish(unit, bus.chat_messages(chat_id), header, frame)


def notice_posted(notice: Message, members_revision: int) -> None:
    """Tells a chat of a service message that has been committed; never waits."""
    header: bus.Header = {"members_revision": members_revision, "seq": notice["seq"]}
    bus.send(bus.chat_messages(notice["chat_id"]), bus.payload(header, bus.encode("new_message", notice)))


def messages_read(unit: UnitOfWork, receipt: ReadReceipt, members_revision: int | None) -> None:
    """Tells a small chat, or without `members_revision` only the reader's devices, up to where a member has read."""
    frame = bus.encode("read_receipt", receipt)
    if members_revision is None:
        bus.publish(unit, bus.user_notifications(receipt["user_id"]), {}, frame)
    else:
        header: bus.Header = {"members_revision": members_revision}
        bus.publish(unit, bus.chat_messages(receipt["chat_id"]), header, frame)


def status_changed(
    unit: UnitOfWork, chat_id: int, author_ids: Iterable[int], status: DeliveryStatus, user_id: int, message_id: int
) -> None:
    """Tells authors that what they wrote up to a message has arrived at a member, or was read."""
    data = {"chat_id": chat_id, "up_to_message_id": message_id, "status": status, "user_id": user_id}
    content = bus.payload({}, bus.encode("message_status", data))
    bus.publish_each(unit, [(bus.user_notifications(author_id), content) for author_id in author_ids])


def unread_changed(unit: UnitOfWork, user_id: int, chat_id: int, unread_count: int, revision: int) -> None:
    """Tells a member's devices the new unread count of a chat; the one with the highest revision is the last one."""
    frame = bus.encode("unread", {"chat_id": chat_id, "unread_count": unread_count, "revision": revision})
    bus.publish(unit, bus.user_notifications(user_id), {}, frame)


def typing(chat_id: int, members_revision: int, user_id: int, is_typing: bool, connection_id: str | None) -> None:
    """Tells a chat that a member types or has stopped; nothing is stored, so nothing waits for a commit."""
    frame = bus.encode("typing", {"chat_id": chat_id, "user_id": user_id, "is_typing": is_typing})
    header: bus.Header = {"members_revision": members_revision, "except_connection": connection_id}
    bus.send(bus.chat_typing(chat_id), bus.payload(header, frame))

"""Who is told about unread counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.infra import bus, presence
from app.infra.db import UnitOfWork
from app.messages.unread_queries import Unread


def unread_changed(unit: UnitOfWork, counts: Sequence[Unread]) -> None:
    """Tells those members who are online, once the transaction has committed, how many messages wait for them."""

    def tell() -> None:
        online = presence.online({count.user_id for count in counts})
        for chat_id, user_id, unread_count, revision in counts:
            if user_id in online:
                data = {"chat_id": chat_id, "unread_count": unread_count, "revision": revision}
                frame = bus.encode("unread", data)
                bus.send(bus.user_notifications(user_id), bus.payload({}, frame))

    if counts:
        unit.after_commit(tell)


def chats_reached(unit: UnitOfWork, targets: Mapping[int, int]) -> None:
    """Tells the hubs how far chats are, so that they fetch messages whose own event was lost."""
    for chat_id, seq in targets.items():
        bus.publish(unit, bus.chat_messages(chat_id), {"control": "seq", "seq": seq})

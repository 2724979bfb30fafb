"""Who is told about unread counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from app.infra import bus, presence
from app.infra.db import UnitOfWork
from app.messages.unread_queries import Unread


def unread_changed(unit: UnitOfWork, counts: Sequence[Unread]) -> None:
    """Tells those members who have a socket, once the transaction has committed, how many messages wait for them.

    The counts of a chat travel together: hubs make the event `unread` of each person's own out of them. Where Redis
    does not tell who has a socket, the counts of all travel: what is published then goes out once Redis is back.
    """

    def tell() -> None:
        connected = presence.connected({count.user_id for count in counts})
        counts_of: dict[int, list[tuple[int, int, int]]] = {}
        for chat_id, user_id, unread_count, revision in counts:
            if connected is None or user_id in connected:
                counts_of.setdefault(chat_id, []).append((user_id, unread_count, revision))
        for chat_id, told in counts_of.items():
            bus.send(bus.chat_messages(chat_id), bus.payload({"control": "unread"}, orjson.dumps(told)))

    if counts:
        unit.after_commit(tell)


def chats_reached(unit: UnitOfWork, targets: Mapping[int, int]) -> None:
    """Tells the hubs how far chats are, so that they fetch messages whose own event was lost."""
    for chat_id, seq in targets.items():
        bus.publish(unit, bus.chat_messages(chat_id), {"control": "seq", "seq": seq})

"""Hands unread counts on to sockets, behind all else: a count that comes a moment later does no harm."""

from __future__ import annotations

from collections import deque

import gevent
import orjson
import structlog

from app.infra import bus
from app.infra.threads import give_way
from app.realtime.room import Room
from app.realtime.wire import text_frame

log = structlog.get_logger(__name__)

# Sockets that are written to before everybody else gets a turn. Counts come for many chats at once: told at a stretch,
# they would keep the messages that come meanwhile waiting.
_MOST_AT_ONCE = 8


class UnreadCounts:
    """What waits to be told, and the greenlet that tells it; for the hub, which must not wait."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Room, bytes]] = deque()
        self._is_telling = False

    def take(self, room: Room, content: bytes) -> None:
        """Takes counts of a chat, a JSON list of [user_id, unread_count, revision]; never waits."""
        self._waiting.append((room, content))
        if not self._is_telling:
            self._is_telling = True
            gevent.spawn(self._tell_all)

    def _tell_all(self) -> None:
        try:
            while self._waiting:
                room, content = self._waiting.popleft()
                try:
                    self._tell(room, content)
                except Exception:
                    log.exception("counts_not_told", chat_id=room.chat_id)
                give_way()
        finally:
            self._is_telling = False

    def _tell(self, room: Room, content: bytes) -> None:
        counts = {user_id: told for user_id, *told in orjson.loads(content)}
        receivers = [connection for connection in room.connections if connection.user_id in counts]
        for index, connection in enumerate(receivers, 1):
            if connection in room.connections:
                unread_count, revision = counts[connection.user_id]
                data = {"chat_id": room.chat_id, "unread_count": unread_count, "revision": revision}
                connection.deliver(text_frame(bus.encode("unread", data)))
            if index % _MOST_AT_ONCE == 0:
                give_way()

"""Hands unread counts on to sockets, behind all else: a count that comes a moment later does no harm."""

from __future__ import annotations

import time
from collections import deque

import gevent
import orjson
import structlog

from app.infra import bus
from app.infra.threads import give_way
from app.realtime.room import Room
from app.realtime.wire import text_frame

log = structlog.get_logger(__name__)

# Seconds for which sockets are written to before everybody else gets a turn. Counts come for many chats at once: told
# at a stretch, they would keep the messages that come meanwhile waiting. Much shorter, and they would never catch up:
# beside many busy clients a turn comes a hundred times a second.
_LONGEST_TURN = 0.001


class UnreadCounts:
    """What waits to be told, and the greenlet that tells it; for the hub, which must not wait."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Room, bytes]] = deque()
        self._is_telling = False
        self._turn_ends = 0.0

    def take(self, room: Room, content: bytes) -> None:
        """Takes counts of a chat, a JSON list of [user_id, unread_count, revision]; never waits."""
        self._waiting.append((room, content))
        if not self._is_telling:
            self._is_telling = True
            gevent.spawn(self._tell_all)

    def _tell_all(self) -> None:
        self._begin_turn()
        try:
            while self._waiting:
                room, content = self._waiting.popleft()
                try:
                    self._tell(room, content)
                except Exception:
                    log.exception("counts_not_told", chat_id=room.chat_id)
        finally:
            self._is_telling = False

    def _tell(self, room: Room, content: bytes) -> None:
        counts = {user_id: told for user_id, *told in orjson.loads(content)}
        receivers = [connection for connection in room.connections if connection.user_id in counts]
        for connection in receivers:
            if connection in room.connections:
                unread_count, revision = counts[connection.user_id]
                data = {"chat_id": room.chat_id, "unread_count": unread_count, "revision": revision}
                connection.deliver(text_frame(bus.encode("unread", data)))
            self._let_others_run()

    def _let_others_run(self) -> None:
        """Ends a turn that has been long enough; one turn may tell the counts of many rooms."""
        if time.monotonic() >= self._turn_ends:
            give_way()
            self._begin_turn()

    def _begin_turn(self) -> None:
        self._turn_ends = time.monotonic() + _LONGEST_TURN

"""The hub: one per process; hands what comes from Redis to the sockets that may receive it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache

import gevent
import structlog
from prometheus_client import Gauge

from app.chats import typing
from app.chats.service import rooms_of_user
from app.errors import AppError, RateLimited
from app.infra import bus
from app.infra.db import reading
from app.realtime import presence, queries
from app.realtime.connection import Connection
from app.realtime.room import Room
from app.realtime.subscription import Subscription
from app.realtime.wire import PING, CloseCode, text_frame
from app.sync.service import current_cursor
from app.web.authentication import require_live_session
from config import settings

log = structlog.get_logger(__name__)

_LONGEST_TICK = 1.0
_CHUNK = 1000
_DRAIN_SECONDS = 1.5
_OPENING_SECONDS = 3.0

open_sockets = Gauge("paperplane_sockets_open", "Open sockets.", multiprocess_mode="livesum")


class Hub:
    """The sockets of this process, by person and by chat."""

    def __init__(self) -> None:
        self._people: dict[int, set[Connection]] = {}
        self._rooms: dict[int, Room] = {}
        self._connections: set[Connection] = set()
        self._subscription = Subscription(self._receive, self._begin_resync)
        self._sessions_checked_at = time.monotonic()
        gevent.spawn(self._beat)

    # --- connections come and go ---

    def count(self, user_id: int) -> int:
        """How many sockets a person has here."""
        return len(self._people.get(user_id, ()))

    def connect(self, connection: Connection) -> None:
        """Lets a connection receive, and greets it; events that come meanwhile follow the greeting.

        The cursor is read before anything is joined: what it leaves out, the connection receives. Raises
        SessionRevoked, or Unavailable without PostgreSQL.
        """
        user_id = connection.user_id
        with reading() as unit:
            cursor = current_cursor(unit)
        # Nothing waits between counting and adding, so handshakes at the same moment get no more than the limit.
        if self.count(user_id) >= settings().ws_connections_per_user:
            raise RateLimited("too many sockets")
        self._connections.add(connection)
        self._people.setdefault(user_id, set()).add(connection)
        open_sockets.set(len(self._connections))
        self._subscription.add([bus.user_notifications(user_id), bus.user_status(user_id)])
        # Asked after the person's channel is subscribed: what changes from here on is told there.
        with reading() as unit:
            require_live_session(unit, connection.caller)
            chats = rooms_of_user(unit, user_id)
        self._join(chats, [connection])
        connection.open(self._hello(connection, cursor))
        gevent.spawn(presence.connected, user_id, connection.id)

    def disconnect(self, connection: Connection, is_draining: bool = False) -> None:
        """Forgets a connection; its person goes offline unless the server only restarts."""
        self._connections.discard(connection)
        open_sockets.set(len(self._connections))
        people = self._people.get(connection.user_id)
        if people is not None:
            people.discard(connection)
            if not people:
                del self._people[connection.user_id]
                user_id = connection.user_id
                self._subscription.remove([bus.user_notifications(user_id), bus.user_status(user_id)])
                typing.stop_all(user_id)
        self._leave(connection, list(connection.rooms))
        if not is_draining:
            gevent.spawn(presence.disconnected, connection.user_id, connection.id)

    def close_session(self, session_id: str) -> None:
        """Closes the sockets of a session that was signed out."""
        for connection in [c for c in self._connections if c.caller.session_id == session_id]:
            connection.close(CloseCode.UNAUTHENTICATED, "session revoked")

    def drain(self) -> None:
        """Tells all clients that the server restarts, and waits a moment until they are told."""
        connections = list(self._connections)
        for connection in connections:
            connection.close(CloseCode.RESTARTING, "server restarting: reconnect with jitter")
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._connections and time.monotonic() < deadline:
            gevent.sleep(0.02)

    def _hello(self, connection: Connection, cursor: str) -> bytes:
        data = {
            "user_id": connection.user_id,
            "session_id": connection.caller.session_id,
            "cursor": cursor,
            "heartbeat_seconds": settings().ws_heartbeat,
        }
        return text_frame(bus.encode("hello", data))

    # --- rooms ---

    def _join(self, chat_ids: Iterable[int], connections: Iterable[Connection]) -> None:
        """Puts connections into rooms; new rooms are subscribed first and then opened."""
        joining = list(connections)
        new, opening = [], []
        for chat_id in chat_ids:
            room = self._rooms.get(chat_id)
            if room is None:
                room = self._rooms[chat_id] = Room(chat_id, self._expel)
                new.append(chat_id)
            elif room.delivered_seq is None:
                opening.append(room.opened)
            for connection in joining:
                if connection in self._connections:
                    room.connections.add(connection)
                    connection.rooms.add(chat_id)
        if new:
            self._subscription.add(
                [channel for chat_id in new for channel in (bus.chat_messages(chat_id), bus.chat_typing(chat_id))]
            )
            self._open_rooms(new)
        if opening:
            # Another connection is just opening these rooms; greeted before they are, a client could miss messages.
            gevent.wait(opening, timeout=_OPENING_SECONDS)

    def _open_rooms(self, chat_ids: list[int]) -> None:
        for start in range(0, len(chat_ids), _CHUNK):
            chunk = chat_ids[start : start + _CHUNK]
            with reading() as unit:
                states = queries.room_states(unit, chunk)
            for chat_id in chunk:
                room = self._rooms.get(chat_id)
                if room is not None and room.delivered_seq is None and chat_id in states:
                    room.begin(*states[chat_id])

    def _leave(self, connection: Connection, chat_ids: Iterable[int]) -> None:
        empty = []
        for chat_id in chat_ids:
            connection.rooms.discard(chat_id)
            room = self._rooms.get(chat_id)
            if room is not None:
                room.connections.discard(connection)
                if not room.connections:
                    del self._rooms[chat_id]
                    empty += [bus.chat_messages(chat_id), bus.chat_typing(chat_id)]
        self._subscription.remove(empty)

    def _expel(self, chat_id: int, user_ids: set[int]) -> None:
        for user_id in user_ids:
            for connection in list(self._people.get(user_id, ())):
                self._leave(connection, [chat_id])

    # --- what comes from Redis ---

    def _receive(self, channel: bytes, content: bytes) -> None:
        """Hands one payload on; called by the reader of Redis, so it never waits."""
        try:
            kind, number, topic = channel.split(b":")
            header, frame = bus.parse(content)
        except ValueError:
            log.warning("foreign_payload", channel=channel.decode(errors="replace"))
            return
        if kind == b"chat":
            room = self._rooms.get(int(number))
            if room is not None:
                room.receive(header, frame, topic == b"typing")
            return
        user_id = int(number)
        if "control" in header:
            gevent.spawn(self._obey, user_id, header, frame)
        else:
            self._tell(user_id, frame, topic == b"status")

    def _tell(self, user_id: int, frame: bytes, droppable: bool = False) -> None:
        framed = text_frame(frame)
        for connection in tuple(self._people.get(user_id, ())):
            connection.deliver(framed, droppable)

    def _obey(self, user_id: int, header: bus.Header, frame: bytes) -> None:
        """Carries out an order to the hub, and then hands on the event that came with it."""
        subject = header.get("subject")
        match header.get("control"):
            case "session_revoked":
                self.close_session(str(subject))
            case "chat_joined":
                self._welcome(int(subject or 0), user_id, frame, header.get("seq"))
                return
            case "chat_left":
                self._expel(int(subject or 0), {user_id})
        if frame:
            self._tell(user_id, frame)

    def _welcome(self, chat_id: int, user_id: int, frame: bytes, last_seq: int | None) -> None:
        """Lets a new member's sockets receive a chat, from what its event showed on."""
        connections = list(self._people.get(user_id, ()))
        self._join([chat_id], connections)
        self._tell(user_id, frame)
        room = self._rooms.get(chat_id)
        if room is not None and last_seq is not None:
            room.replay(connections, last_seq)

    def _begin_resync(self) -> None:
        gevent.spawn(self._resync)

    def _resync(self) -> None:
        """After a break: who may receive is asked anew, what was missed is delivered, and clients are told to sync."""
        try:
            self._check_sessions()
            with reading() as unit:
                cursor = current_cursor(unit)
            for user_id, connections in list(self._people.items()):
                with reading() as unit:
                    chats = set(rooms_of_user(unit, user_id))
                known = {chat_id for connection in connections for chat_id in connection.rooms}
                for connection in list(connections):
                    self._leave(connection, connection.rooms - chats)
                self._join(chats - known, list(connections))
            chat_ids = list(self._rooms)
            for start in range(0, len(chat_ids), _CHUNK):
                with reading() as unit:
                    states = queries.room_states(unit, chat_ids[start : start + _CHUNK])
                for chat_id, state in states.items():
                    if chat_id in self._rooms:
                        self._rooms[chat_id].catch_up(*state)
        except AppError as error:
            log.warning("resync_waits", error=error.code)
            gevent.spawn_later(1.0, self._resync)
            return
        for connection in list(self._connections):
            if connection.ready:
                connection.send(self._hello(connection, cursor))

    # --- time ---

    def _beat(self) -> None:
        """Pings who is silent, closes who is gone or no longer signed in, renews leases."""
        while True:
            # Often enough that a ping is never late enough to make an answering client look silent.
            gevent.sleep(min(_LONGEST_TICK, settings().ws_heartbeat / 10))
            try:
                self._check_heartbeats()
                if time.monotonic() - self._sessions_checked_at >= settings().ws_heartbeat:
                    self._sessions_checked_at = time.monotonic()
                    self._check_sessions()
            except Exception as error:
                # The beat must go on whatever happens to one connection or query.
                log.warning("heartbeat_failed", error=type(error).__name__)

    def _check_heartbeats(self) -> None:
        heartbeat = settings().ws_heartbeat
        now, unix_now = time.monotonic(), time.time()
        for index, connection in enumerate(list(self._connections)):
            silent = now - connection.last_heard
            if connection.caller.expires_at <= unix_now:
                connection.close(CloseCode.UNAUTHENTICATED, "token expired")
            elif silent >= 2 * heartbeat:
                connection.close(CloseCode.NO_HEARTBEAT, "no heartbeat")
            elif now - connection.renewed_at >= heartbeat:
                connection.renewed_at = now
                connection.send(PING)
                if silent < heartbeat:
                    presence.renewed(connection.user_id, connection.id)
            if index % 100 == 99:
                gevent.sleep(0)

    def _check_sessions(self) -> None:
        """Closes sockets of sessions that were signed out while nobody could tell us."""
        sessions = {connection.caller.session_id for connection in self._connections}
        if not sessions:
            return
        with reading() as unit:
            live = queries.live_sessions(unit, sorted(sessions))
        for session_id in sessions - live:
            self.close_session(session_id)


@lru_cache(maxsize=1)
def hub() -> Hub:
    """The hub of this process; begins at the first socket."""
    return Hub()

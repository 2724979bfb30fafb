"""The hub: one per process; hands what comes from Redis to the sockets that may receive it."""

from __future__ import annotations

import time
from collections import deque
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
_PAUSE_AFTER_FAILURE = 1.0

open_sockets = Gauge("paperplane_sockets_open", "Open sockets.", multiprocess_mode="livesum")


class Hub:
    """The sockets of this process, by person and by chat."""

    def __init__(self) -> None:
        self._people: dict[int, set[Connection]] = {}
        self._rooms: dict[int, Room] = {}
        self._connections: set[Connection] = set()
        self._subscription = Subscription(self._receive, self._begin_resync)
        self._sessions_checked_at = time.monotonic()
        self._lanes: dict[int, deque[tuple[bus.Header, bytes, bool]]] = {}
        self._resync_wanted = self._resyncing = False
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
        # Who left meanwhile must not leave an empty room behind, which nobody would ever close.
        joining = [connection for connection in connections if connection in self._connections]
        if not joining:
            return
        new, opening = [], []
        for chat_id in chat_ids:
            room = self._rooms.get(chat_id)
            if room is None:
                room = self._rooms[chat_id] = Room(chat_id, self._expel, self._tell_to_sync)
                new.append(chat_id)
            elif room.delivered_seq is None:
                opening.append(room.opened)
            for connection in joining:
                room.connections.add(connection)
                connection.rooms.add(chat_id)
        if new:
            self._subscription.add(
                [channel for chat_id in new for channel in (bus.chat_messages(chat_id), bus.chat_typing(chat_id))]
            )
            try:
                self._open_rooms(new)
            except AppError:
                # Others may be waiting in these rooms.
                gevent.spawn_later(_PAUSE_AFTER_FAILURE, self._open_again, new)
                raise
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

    def _open_again(self, chat_ids: list[int]) -> None:
        """Opens rooms of which PostgreSQL could not tell, as soon as it can."""
        try:
            self._open_rooms(chat_ids)
        except AppError:
            gevent.spawn_later(_PAUSE_AFTER_FAILURE, self._open_again, chat_ids)

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
        if header.get("control") == "session_revoked":
            # At once: what comes right behind it must not reach the session any more.
            self.close_session(str(header.get("subject")))
        elif "control" in header or user_id in self._lanes:
            self._line_up(user_id, header, frame, topic == b"status")
        else:
            self._tell(user_id, frame, topic == b"status")

    def _line_up(self, user_id: int, header: bus.Header, frame: bytes, droppable: bool) -> None:
        """Orders take their time, and what concerns one person keeps its order: it waits in that person's lane."""
        lane = self._lanes.get(user_id)
        if lane is None:
            lane = self._lanes[user_id] = deque()
            gevent.spawn(self._run_lane, user_id, lane)
        lane.append((header, frame, droppable))

    def _run_lane(self, user_id: int, lane: deque[tuple[bus.Header, bytes, bool]]) -> None:
        while lane:
            header, frame, droppable = lane[0]
            try:
                self._obey(user_id, header, frame, droppable)
            except Exception:
                log.exception("order_failed", user_id=user_id)
            lane.popleft()
        del self._lanes[user_id]

    def _tell(self, user_id: int, frame: bytes, droppable: bool = False) -> None:
        framed = text_frame(frame)
        for connection in tuple(self._people.get(user_id, ())):
            connection.deliver(framed, droppable)

    def _obey(self, user_id: int, header: bus.Header, frame: bytes, droppable: bool) -> None:
        """Carries out an order to the hub, if it is one, and hands on the event that came with it."""
        chat_id = int(header.get("subject", 0))
        control = header.get("control")
        if control == "chat_left":
            self._expel(chat_id, {user_id})
        # Sockets that are in the room already have had all since their greeting.
        connections = [c for c in self._people.get(user_id, ()) if chat_id not in c.rooms]
        if control == "chat_joined":
            try:
                self._join([chat_id], connections)
            except AppError as error:
                log.warning("join_waits", chat_id=chat_id, error=error.code)
        if frame:
            self._tell(user_id, frame, droppable)
        room = self._rooms.get(chat_id)
        if control == "chat_joined" and room is not None and "seq" in header:
            room.replay(connections, header["seq"])

    def _begin_resync(self) -> None:
        """Starts a resync; while one runs, however many are asked for become one more after it."""
        self._resync_wanted = True
        if not self._resyncing:
            self._resyncing = True
            gevent.spawn(self._resync_until_done)

    def _resync_until_done(self) -> None:
        try:
            while self._resync_wanted:
                self._resync_wanted = False
                try:
                    self._resync()
                except Exception as error:
                    log.warning("resync_waits", error=type(error).__name__)
                    self._resync_wanted = True
                    gevent.sleep(_PAUSE_AFTER_FAILURE)
        finally:
            self._resyncing = False

    def _resync(self) -> None:
        """After a break: who may receive is asked anew, what was missed is delivered, and clients are told to sync."""
        self._check_sessions()
        people = list(self._people)
        for start in range(0, len(people), _CHUNK):
            self._rejoin(people[start : start + _CHUNK])
        chat_ids = list(self._rooms)
        for start in range(0, len(chat_ids), _CHUNK):
            with reading() as unit:
                states = queries.room_states(unit, chat_ids[start : start + _CHUNK])
            for chat_id, state in states.items():
                if chat_id in self._rooms:
                    self._rooms[chat_id].catch_up(*state)
        self._tell_to_sync(self._connections)

    def _rejoin(self, user_ids: list[int]) -> None:
        """Puts people's sockets into their chats of now. Who joins one meanwhile stays in it."""
        before = {c: set(c.rooms) for user_id in user_ids for c in self._people.get(user_id, ())}
        with reading() as unit:
            chats_of = queries.rooms_of_people(unit, user_ids)
        for connection, rooms in before.items():
            chats = chats_of.get(connection.user_id, set())
            self._leave(connection, rooms - chats)
            self._join(chats - rooms, [connection])

    def _tell_to_sync(self, connections: Iterable[Connection]) -> None:
        """Greets sockets once more: events may have been lost, and the client's own cursor tells from where."""
        ready = [connection for connection in connections if connection.ready]
        if not ready:
            return
        with reading() as unit:
            cursor = current_cursor(unit)
        for connection in ready:
            connection.send(self._hello(connection, cursor))

    # --- time ---

    def _beat(self) -> None:
        """Pings who is silent, closes who is gone or no longer signed in, renews leases."""
        while True:
            # Often enough that a ping is never late enough to make an answering client look silent.
            tick = min(_LONGEST_TICK, settings().ws_heartbeat / 10)
            asleep_at = time.monotonic()
            gevent.sleep(tick)
            self._excuse(time.monotonic() - asleep_at - tick)
            try:
                self._check_heartbeats()
                if time.monotonic() - self._sessions_checked_at >= settings().ws_heartbeat:
                    self._sessions_checked_at = time.monotonic()
                    self._check_sessions()
            except Exception as error:
                # The beat must go on whatever happens to one connection or query.
                log.warning("heartbeat_failed", error=type(error).__name__)

    def _excuse(self, stood_still: float) -> None:
        """Gives clients the seconds back in which this process did not run: their answers may lie unread."""
        for connection in self._connections:
            if connection.pinged_at > connection.last_heard:
                connection.pinged_at += max(0.0, stood_still)

    def _check_heartbeats(self) -> None:
        heartbeat = settings().ws_heartbeat
        now, unix_now = time.monotonic(), time.time()
        for index, connection in enumerate(list(self._connections)):
            silent = now - connection.last_heard
            if connection.caller.expires_at <= unix_now:
                connection.close(CloseCode.UNAUTHENTICATED, "token expired")
            elif connection not in self._connections:
                continue
            elif connection.pinged_at > connection.last_heard and now - connection.pinged_at >= heartbeat:
                connection.close(CloseCode.NO_HEARTBEAT, "no heartbeat")
            elif now - connection.renewed_at >= heartbeat:
                connection.renewed_at = now
                if connection.pinged_at <= connection.last_heard:
                    connection.pinged_at = now
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

"""The hub: one per process; hands what comes from Redis to the sockets that may receive it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from functools import lru_cache, partial

import gevent
import structlog
from gevent.pool import Group
from prometheus_client import Gauge

from app.chats import typing
from app.errors import AppError, RateLimited, Unavailable
from app.infra import bus
from app.infra.db import reading
from app.realtime import calls, presence, queries
from app.realtime.addressed import Addressed
from app.realtime.connection import Connection
from app.realtime.counts import UnreadCounts
from app.realtime.heartbeat import Heartbeat
from app.realtime.opening import chats_of, cursor_of_now
from app.realtime.rooms import Rooms
from app.realtime.subscription import Subscription
from app.realtime.wire import CloseCode, text_frame
from app.web.input import LARGEST_ID
from config import settings

log = structlog.get_logger(__name__)

_CHUNK = 1000
# Longer than a client that does not answer is waited for when its socket is closed.
_DRAIN_SECONDS = 5.0
_PAUSE_AFTER_FAILURE = 1.0

open_sockets = Gauge("paperplane_sockets_open", "Open sockets.", multiprocess_mode="livesum")


class Hub:
    """The sockets of this process, by person and by chat."""

    def __init__(self) -> None:
        self._people: dict[int, set[Connection]] = {}
        self._connections: set[Connection] = set()
        self._subscription = Subscription(self._receive, self._begin_resync)
        self._rooms = Rooms(
            self._subscription, self._connections.__contains__, self._expel, self._tell_to_sync, self._begin_resync
        )
        self._counts = UnreadCounts()
        self._lanes: dict[int, deque[tuple[bus.Header, bytes, bool]]] = {}
        self._resync_wanted = self._resyncing = False
        self._heartbeat = Heartbeat(self._connections, self.close_session)

    # --- connections come and go ---

    def count(self, user_id: int) -> int:
        """How many sockets a person has here."""
        return len(self._people.get(user_id, ()))

    def connect(self, connection: Connection) -> None:
        """Lets a connection receive, and greets it; events that come meanwhile follow the greeting.

        The cursor is read before anything is joined: what it leaves out, the connection receives. Raises
        SessionRevoked, RateLimited, or Unavailable without PostgreSQL and while the process ends.
        """
        user_id = connection.user_id
        cursor = cursor_of_now()
        # Nothing waits from here to the adding: nobody slips past the drain, and handshakes at the same moment get no
        # more than the limit.
        if is_draining():
            raise Unavailable("restarting")
        if self.count(user_id) >= settings().ws_connections_per_user:
            raise RateLimited("too many sockets")
        self._connections.add(connection)
        self._people.setdefault(user_id, set()).add(connection)
        open_sockets.set(len(self._connections))
        self._subscription.add([bus.user_notifications(user_id), bus.user_status(user_id)])
        # Asked after the person's channel is subscribed: what changes from here on is told there.
        self._rooms.join(chats_of(connection.caller), [connection])
        connection.open(self._hello(connection, cursor))
        calls.tell_live_to(connection)
        is_here = partial(self._connections.__contains__, connection)
        gevent.spawn(presence.connected, connection.caller, connection.id, is_here)

    def disconnect(self, connection: Connection) -> None:
        """Forgets a connection; its person goes offline unless the server only restarts."""
        if connection not in self._connections:
            return  # It was refused: nobody knows of it.
        self._connections.remove(connection)
        open_sockets.set(len(self._connections))
        people = self._people.get(connection.user_id)
        if people is not None:
            people.discard(connection)
            if not people:
                del self._people[connection.user_id]
                user_id = connection.user_id
                self._subscription.remove([bus.user_notifications(user_id), bus.user_status(user_id)])
                typing.stop_all(user_id)
        self._rooms.leave(connection, list(connection.rooms))
        if not is_draining():
            gevent.spawn(presence.disconnected, connection.caller, connection.id)

    def close_session(self, session_id: str) -> None:
        """Closes the sockets of a session that was signed out."""
        for connection in [c for c in self._connections if c.caller.session_id == session_id]:
            connection.close(CloseCode.UNAUTHENTICATED, "session revoked")

    def close_all(self) -> None:
        """Tells all clients that the server restarts."""
        for connection in list(self._connections):
            connection.close(CloseCode.RESTARTING, "server restarting: reconnect with jitter")

    def _hello(self, connection: Connection, cursor: str) -> bytes:
        data = {
            "user_id": connection.user_id,
            "session_id": connection.caller.session_id,
            "cursor": cursor,
            "heartbeat_seconds": settings().ws_heartbeat,
        }
        return text_frame(bus.encode("hello", data))

    def _expel(self, chat_id: int, user_ids: set[int]) -> None:
        for user_id in user_ids:
            for connection in list(self._people.get(user_id, ())):
                self._rooms.leave(connection, [chat_id])

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
            if room is None:
                return
            if header.get("control") == "unread":
                self._counts.take(room, frame)
            else:
                room.receive(header, frame, topic == b"typing")
            return
        user_id = int(number)
        if header.get("control") == "session_revoked":
            # At once: what comes right behind it must not reach the session any more.
            self.close_session(str(header.get("subject")))
        elif "control" in header or user_id in self._lanes:
            self._line_up(user_id, header, frame, topic == b"status")
        else:
            self._tell(user_id, header, frame, topic == b"status")

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

    def _tell(self, user_id: int, header: bus.Header, frame: bytes, droppable: bool = False) -> None:
        if not frame:
            return  # An order that was none.
        framed = Addressed(frame).to(user_id)
        for connection in self._devices(user_id, header):
            connection.deliver(framed, droppable)

    def _devices(self, user_id: int, header: bus.Header) -> list[Connection]:
        """The sockets of a person that an event is for: of all devices, of one, or of all others."""
        only, besides = header.get("only_session"), header.get("except_session")
        return [
            connection
            for connection in self._people.get(user_id, ())
            if only in (None, connection.caller.session_id) and connection.caller.session_id != besides
        ]

    def _obey(self, user_id: int, header: bus.Header, frame: bytes, droppable: bool) -> None:
        """Carries out an order to the hub, if it is one, and hands on the event that came with it."""
        chat_id = int(header.get("subject", 0))
        control = header.get("control")
        if control == "call_signals":
            calls.tell_signals(chat_id, self._devices(user_id, header))
            return
        room = self._rooms.get(chat_id)
        if control == "chat_left" and room is not None:
            room.check_members(header.get("members_revision", LARGEST_ID))
        # Sockets that are in the room already have had all since their greeting.
        connections = [c for c in self._people.get(user_id, ()) if chat_id not in c.rooms]
        if control == "chat_joined":
            try:
                # Nobody has asked yet whether the person is still a member: a removal may have overtaken the order.
                # Those in the room are let in once more, since it may just be told that they were no members before.
                self._rooms.join({chat_id: 0}, list(self._people.get(user_id, ())))
            except AppError as error:
                log.warning("join_waits", chat_id=chat_id, error=error.code)
        self._tell(user_id, header, frame, droppable)
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
        self._heartbeat.check_sessions()
        people = list(self._people)
        for start in range(0, len(people), _CHUNK):
            self._rejoin(people[start : start + _CHUNK])
        self._rooms.catch_up()
        self._heartbeat.put_leases_back()
        self._tell_to_sync(self._connections)

    def _rejoin(self, user_ids: list[int]) -> None:
        """Puts people's sockets into their chats of now. Who joins one meanwhile stays in it."""
        before = {c: set(c.rooms) for user_id in user_ids for c in self._people.get(user_id, ())}
        with reading() as unit:
            chats_of = queries.rooms_of_people(unit, user_ids)
        for connection, rooms in before.items():
            chats = chats_of.get(connection.user_id, {})
            self._rooms.leave(connection, rooms - chats.keys())
            self._rooms.join({chat: revision for chat, revision in chats.items() if chat not in rooms}, [connection])

    def _tell_to_sync(self, connections: Iterable[Connection]) -> None:
        """Greets sockets once more: events may have been lost, and the client's own cursor tells from where."""
        ready = [connection for connection in connections if connection.ready]
        if not ready:
            return
        cursor = cursor_of_now()
        for connection in ready:
            connection.send(self._hello(connection, cursor))
        calls.tell_live(ready)


@lru_cache(maxsize=1)
def hub() -> Hub:
    """The hub of this process; begins at the first socket."""
    return Hub()


_draining = threading.Event()

lives = Group()
"""The greenlets of this process's sockets, those that are just being opened among them."""


def is_draining() -> bool:
    """Whether this process is about to stop."""
    return _draining.is_set()


def drain() -> bool:
    """Closes all sockets of this process with 1012, also those that are just being opened; for SIGTERM.

    Waits a moment until their clients are told, and frames in work are done; tells whether all are.
    """
    _draining.set()
    if hub.cache_info().currsize:
        hub().close_all()
    return bool(lives.join(timeout=min(_DRAIN_SECONDS, settings().shutdown_timeout / 2)))

"""One client's socket: a reader (the caller's greenlet), and one writer with a bounded queue.

A frame is first tried without blocking, so that a broadcast costs one system call a socket. Only where the kernel's
buffer is full does a greenlet start that writes the rest; what waits for it is bounded in bytes. Frames are written
whole or not at all, except where the socket is given up.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from prometheus_client import Counter
from wsproto.connection import Connection as FrameParser
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import ProtocolError

from app.infra.threads import give_way
from app.realtime.wire import CloseCode, close_frame, pong_frame
from app.web.authentication import Caller
from config import settings

_RECEIVE_BYTES = 16_384
_RECEIVED_IN_A_ROW = 4
# What the kernel may hold for a slow reader besides our own queue, in bytes (it doubles this).
_SEND_BUFFER = 65_536
# How long a socket that we close may take to receive what is left and the close frame.
_CLOSE_TIMEOUT = 2.0

_NOBODY = Caller(0, "", 0.0)

dropped_frames = Counter("paperplane_socket_frames_dropped_total", "Typing and presence dropped for slow sockets.")
closed_sockets = Counter("paperplane_sockets_closed_total", "Sockets closed by this side.", ["code"])


class Connection:
    """A socket whose handshake is done."""

    __slots__ = (
        "_closing",
        "_direct",
        "_drainer",
        "_parser",
        "_peer_closed",
        "_queue",
        "_queue_limit",
        "_queued_bytes",
        "_socket",
        "caller",
        "id",
        "last_heard",
        "pinged_at",
        "ready",
        "renewed_at",
        "rooms",
        "signal_ids",
        "waiting_frames",
    )

    def __init__(self, sock: socket.socket) -> None:
        """Takes the socket over and closes it at the end; whose it is shows when `caller` is set."""
        self._socket = sock
        self._parser = FrameParser(ConnectionType.SERVER)
        # gevent's socket waits for buffer space; the plain one below it answers at once that there is none.
        self._direct: Any = getattr(sock, "_sock", None) if type(sock).__name__ == "socket" else None
        self._queue: deque[memoryview] = deque()
        self._queued_bytes = 0
        self._queue_limit = int(settings().ws_queue_size)
        self._drainer: gevent.Greenlet[[], None] | None = None
        self._closing = False
        self._peer_closed = False
        self.id = secrets.token_hex(8)
        self.caller = _NOBODY
        self.rooms: set[int] = set()
        # By call, up to which signal this socket has been told what the other device said; few sockets are in a call.
        self.signal_ids: dict[int, int] | None = None
        self.last_heard = self.renewed_at = self.pinged_at = time.monotonic()
        self.ready = False
        self.waiting_frames: list[bytes] = []
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass  # A unix socket has no TCP options, and a dead one shows at the first read.

    @property
    def user_id(self) -> int:
        """Whose socket it is; 0 until that is known."""
        return self.caller.user_id

    # --- reading, in the greenlet of the handler ---

    def messages(self, largest: int, allow: Callable[[bool], bool]) -> Iterator[str]:
        """The client's text messages, until either side closes; answers pings and closes by itself.

        A message over `largest` bytes, a binary one or broken framing closes the socket with the code for it. Every
        frame, also a ping, a pong or a part of a message, is one that `allow(whether a message ends)` is asked for;
        the iterator ends where it answers no.
        """
        parts: list[str] = []
        size = in_a_row = 0
        loop: Any = gevent.get_hub().loop
        look = loop.iteration
        while not self._closing:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
                if not data:
                    self._peer_closed = True
                    return
                self._parser.receive_data(data)
            except (OSError, ProtocolError):
                return
            self.last_heard = time.monotonic()
            # In a row: the loop has not looked at the sockets in between.
            if look != loop.iteration:
                look, in_a_row = loop.iteration, 0
            in_a_row += 1
            if in_a_row == _RECEIVED_IN_A_ROW:
                # A client that sends without a pause always has something to read, and reading never waits then.
                give_way()
            for event in self._parser.events():
                if getattr(event, "frame_finished", True) and not allow(getattr(event, "message_finished", False)):
                    return
                if isinstance(event, TextMessage):
                    size += len(event.data.encode())
                    if size > largest:
                        self.close(CloseCode.TOO_LARGE, f"frames have at most {largest} bytes")
                        return
                    if event.data:
                        parts.append(event.data)
                    if event.message_finished:
                        text = "".join(parts)
                        parts, size = [], 0
                        yield text
                        if self._closing:
                            return
                elif isinstance(event, Ping):
                    self.send(pong_frame(bytes(event.payload)))
                elif isinstance(event, CloseConnection):
                    # Broken framing looks the same, and who breaks it may be sending on.
                    self._peer_closed = self._parser.state is ConnectionState.REMOTE_CLOSING
                    self.close(event.code if 1000 <= event.code <= 1014 and event.code not in (1005, 1006) else 1000)
                    return
                elif isinstance(event, BytesMessage):
                    self.close(CloseCode.UNSUPPORTED_DATA, "frames are JSON text")
                    return

    # --- writing, from any greenlet ---

    def deliver(self, frame: bytes, droppable: bool = False) -> None:
        """Writes an event; until `hello` is out it waits its turn behind it."""
        if self.ready:
            self.send(frame, droppable)
        elif not droppable and not self._closing:
            self.waiting_frames.append(frame)
            self._queued_bytes += len(frame)
            if self._queued_bytes > self._queue_limit:
                self.close(CloseCode.TOO_SLOW, "too slow: sync from your cursor")

    def open(self, hello: bytes) -> None:
        """Writes `hello` and what has gathered behind it."""
        self.send(hello)
        self.ready = True
        waiting, self.waiting_frames = self.waiting_frames, []
        self._queued_bytes -= sum(len(frame) for frame in waiting)
        for frame in waiting:
            self.send(frame)

    def send(self, frame: bytes, droppable: bool = False) -> None:
        """Writes a finished frame without waiting; closes the socket (4413) where its queue is full."""
        if self._closing:
            return
        if self._drainer is None and self._direct is not None:
            try:
                written = self._direct.send(frame)
            except BlockingIOError:
                written = 0
            except OSError:
                self._abandon()
                return
            if written == len(frame):
                return
            self._enqueue(memoryview(frame)[written:])
            return
        if droppable and self._queued_bytes * 2 > self._queue_limit:
            dropped_frames.inc()
            return
        if self._queued_bytes + len(frame) > self._queue_limit:
            self.close(CloseCode.TOO_SLOW, "too slow: sync from your cursor")
            return
        self._enqueue(memoryview(frame))

    def close(self, code: int, reason: str = "") -> None:
        """Says why and closes; what waited is given up, but for a frame that is half written."""
        if self._closing:
            return
        self._closing = True
        closed_sockets.labels(str(code)).inc()
        begun = self._queue[0] if self._queue else None
        self._queue.clear()
        self._queued_bytes = 0
        if begun is not None:
            self._queue.append(begun)
        self._queue.append(memoryview(close_frame(code, reason)))
        if self._drainer is None:
            self._drainer = gevent.spawn(self._drain)
        gevent.spawn_later(_CLOSE_TIMEOUT, self._abandon)

    @property
    def closing(self) -> bool:
        """Whether either side has begun to close."""
        return self._closing

    def wait_closed(self) -> None:
        """Waits until our last frames are written and the client has closed too, a moment at most; then it is gone.

        What still comes is read and thrown away: a socket that is closed with unread data resets the connection, and
        the client might never see why it was closed (RFC 6455 section 7.1.1).
        """
        try:
            if self._drainer is not None:
                self._drainer.join(timeout=_CLOSE_TIMEOUT)
            while self._closing and not self._peer_closed:
                give_way()
                try:
                    self._peer_closed = not self._socket.recv(_RECEIVE_BYTES)
                except OSError:
                    return
        finally:
            self._closing = True
            self._socket.close()

    def _enqueue(self, rest: memoryview) -> None:
        self._queue.append(rest)
        self._queued_bytes += len(rest)
        if self._drainer is None:
            self._drainer = gevent.spawn(self._drain)

    def _drain(self) -> None:
        """Writes what waits, oldest first; the frame being written stays at the head, cut to what is left of it."""
        try:
            while self._queue:
                rest = self._queue[0]
                written = self._socket.send(rest)
                if self._queue and self._queue[0] is rest:
                    if written == len(rest):
                        self._queue.popleft()
                    else:
                        self._queue[0] = rest[written:]
                if not self._closing:
                    self._queued_bytes -= written
        except OSError:
            self._abandon()
            return
        self._drainer = None
        if self._closing:
            self._shut(socket.SHUT_WR)

    def _abandon(self) -> None:
        """Gives the socket up; the reader wakes and ends."""
        self._closing = True
        self._queue.clear()
        self._queued_bytes = 0
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):  # Closed already.
            self._socket.shutdown(how)

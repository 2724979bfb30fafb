"""WebSocket as a client: the handshake, and frames of RFC 6455 with as little work as possible."""

from __future__ import annotations

import socket
import struct

RECEIVE_BYTES = 65536
_END = b"\r\n\r\n"
_TEXT, _PING = 0x81, 0x89
# A key of zeros is allowed, and leaves the content as it is.
_MASKED, _NO_KEY = 0x80, b"\0\0\0\0"
_PONG = bytes((0x8A, _MASKED)) + _NO_KEY


class Refused(Exception):
    """The handshake failed, or the server closed."""


class ClientSocket:
    """A WebSocket whose whole text frames are read as bytes."""

    __slots__ = ("_rest", "is_open", "sock")

    def __init__(self, port: int, token: str, waits: bool = True) -> None:
        """Connects and asks for the handshake; where it `waits`, also reads the answer. Raises Refused."""
        self.is_open = False
        self._rest = b""
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(
            f"GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while waits and not self.is_open:
            # Not a byte more than the answer: nobody would look at a frame behind it before the next one comes.
            seen = self.sock.recv(RECEIVE_BYTES, socket.MSG_PEEK)
            head, separator, _ = seen.partition(_END)
            self._shake_hands(self._receive_some(len(head) + len(separator) if separator else RECEIVE_BYTES))

    @property
    def is_between_frames(self) -> bool:
        """Whether what comes next is the beginning of a frame."""
        return self.is_open and not self._rest

    def send(self, content: bytes) -> None:
        """Sends a text frame of less than 64 KiB."""
        if len(content) < 126:
            header = bytes((_TEXT, _MASKED | len(content)))
        else:
            header = struct.pack("!BBH", _TEXT, _MASKED | 126, len(content))
        self.sock.sendall(header + _NO_KEY + content)

    def receive(self) -> list[bytes]:
        """Waits for data; the text frames that it completes. Answers pings. Raises Refused where the server closed."""
        return self.take(self._receive_some())

    def take(self, data: bytes) -> list[bytes]:
        """The text frames that data completes, once the handshake is done; otherwise like `receive`."""
        if not self.is_open:
            self._shake_hands(data)
            if not self.is_open:
                return []
        elif self._rest:
            self._rest += data
        else:
            self._rest = data
        frames: list[bytes] = []
        data, at, size = self._rest, 0, len(self._rest)
        while size - at >= 2:
            kind, length, begin = data[at], data[at + 1], at + 2
            if length == 126:
                begin += 2
                length = int.from_bytes(data[at + 2 : begin], "big")
            elif length == 127:
                begin += 8
                length = int.from_bytes(data[at + 2 : begin], "big")
            if begin + length > size:
                break
            at = begin + length
            if kind == _TEXT:
                frames.append(data[begin:at])
            elif kind == _PING:
                self.sock.sendall(_PONG)
            else:
                raise Refused(f"the server sent a frame of kind {kind:#x}: {data[begin:at]!r}")
        self._rest = data[at:]
        return frames

    def _receive_some(self, most: int = RECEIVE_BYTES) -> bytes:
        data = self.sock.recv(most)
        if not data:
            raise Refused(
                "the server closed a socket" + (f": {self._rest.decode(errors='replace')}" if self._rest else "")
            )
        return data

    def _shake_hands(self, data: bytes) -> None:
        """Takes a part of the answer to the handshake; what follows it is the beginning of frames."""
        self._rest += data
        head, separator, frames = self._rest.partition(_END)
        if separator:
            if not head.startswith(b"HTTP/1.1 101"):
                raise Refused(self._rest.decode(errors="replace"))
            self.is_open, self._rest = True, frames

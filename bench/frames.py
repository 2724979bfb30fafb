"""WebSocket as a client: the handshake, and frames of RFC 6455 with as little work as possible."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_RECEIVE_BYTES = 65536
_TEXT, _PING = 0x81, 0x89
# A key of zeros is allowed, and leaves the content as it is.
_MASKED, _NO_KEY = 0x80, b"\0\0\0\0"
_PONG = bytes((0x8A, _MASKED)) + _NO_KEY


class Refused(Exception):
    """The handshake failed, or the server closed."""


class ClientSocket:
    """A WebSocket whose whole text frames are read as bytes."""

    __slots__ = ("_rest", "sock")

    def __init__(self, port: int, token: str) -> None:
        """Connects and shakes hands. Raises Refused."""
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(
            f"GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self.sock.recv(_RECEIVE_BYTES)
            if not data:
                raise Refused(answer.decode(errors="replace"))
            answer += data
        head, _, self._rest = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise Refused(answer.decode(errors="replace"))

    def send(self, content: bytes) -> None:
        """Sends a text frame of less than 64 KiB."""
        if len(content) < 126:
            header = bytes((_TEXT, _MASKED | len(content)))
        else:
            header = struct.pack("!BBH", _TEXT, _MASKED | 126, len(content))
        self.sock.sendall(header + _NO_KEY + content)

    def receive(self) -> Iterator[bytes]:
        """Waits for data; the text frames that it completes. Answers pings. Raises Refused where the server closed."""
        data = self.sock.recv(_RECEIVE_BYTES)
        if not data:
            raise Refused("the server closed a socket")
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
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
                yield data[begin:at]
            elif kind == _PING:
                self.sock.sendall(_PONG)
            else:
                raise Refused(f"the server sent a frame of kind {kind:#x}: {data[begin:at]!r}")
        self._rest = data[at:]

"""The limit of sockets: one Python process that accepts, greets, and writes one frame to all, and does nothing else.

It answers handshakes without looking at them, so the same load program can be measured against it.
"""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

from bench.frames import RECEIVE_BYTES
from bench.loop import Loop, main

_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"
)
_BACKLOG = 2048


class PlainServer:
    """Listens on a free port."""

    def __init__(self, loop: Loop) -> None:
        """Accepts from now on."""
        self._loop = loop
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        loop.add(self._listening, self._accept)

    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def broadcast(self, content: str, sockets: int) -> float:
        """Writes one text message to the first `sockets` accepted; the moment before the first write."""
        frame = framed(content.encode())
        began = time.perf_counter()
        for sock in self._sockets[:sockets]:
            sock.send(frame)
        return began

    def _accept(self) -> None:
        sock, _ = self._listening.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add(sock, partial(self._read, sock))

    def _read(self, sock: socket.socket) -> None:
        data = sock.recv(RECEIVE_BYTES)
        if data.startswith(b"GET "):
            sock.send(_ANSWER + framed(b'{"event":"hello","data":{}}'))
            self._sockets.append(sock)
        elif not data:
            self._loop.remove(sock)
            self._sockets.remove(sock)
            sock.close()


def framed(content: bytes) -> bytes:
    """A text message of less than 64 KiB as a server writes it."""
    size = len(content)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + content


def _commands(loop: Loop, plan: Any) -> dict[str, Any]:  # noqa: ARG001 - it needs no plan
    server = PlainServer(loop)
    return {"port": server.port, "broadcast": server.broadcast}


if __name__ == "__main__":
    main(_commands)

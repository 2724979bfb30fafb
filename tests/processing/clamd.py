"""A clamd that knows one virus, as far as INSTREAM goes: a real server on this machine."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

VIRUS = b"a very bad virus"


class _Handler(socketserver.BaseRequestHandler):
    """One session: reads a command, and chunks until the one of no length."""

    def handle(self) -> None:
        assert isinstance(self.server, Clamd)
        if self._exactly(len(b"zINSTREAM\0")) != b"zINSTREAM\0":
            self.request.sendall(b"UNKNOWN COMMAND\0")
            return
        received = b""
        while length := struct.unpack(">I", self._exactly(4))[0]:
            received += self._exactly(length)
            if len(received) > self.server.longest:
                self.request.sendall(b"INSTREAM size limit exceeded. ERROR\0")
                return
        self.server.received.append(received)
        self.request.sendall(b"stream: Test.Virus FOUND\0" if VIRUS in received else b"stream: OK\0")

    def _exactly(self, count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            piece = self.request.recv(count - len(parts))
            if not piece:
                return bytes(count)
            parts += piece
        return parts


class Clamd(socketserver.ThreadingTCPServer):
    """`received` has what was looked at; files longer than `longest` are refused as by StreamMaxLength."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[bytes] = []
        self.longest = 10_000_000

    @property
    def address(self) -> str:
        """host:port"""
        return f"127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_clamd() -> Iterator[Clamd]:
    """A server that is ended afterwards."""
    with Clamd() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nobody listens; its port is taken, so that nobody else comes to listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"

"""HTTP as a client with as little work as possible: one keep-alive connection with one request on its way."""

from __future__ import annotations

import re
import socket

from bench.frames import RECEIVE_BYTES

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class HttpClient:
    """A connection to the API."""

    __slots__ = ("_buffer", "_host", "sock")

    def __init__(self, port: int) -> None:
        """Connects."""
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"127.0.0.1:{port}"
        self._buffer = b""

    def get(self, path: str, token: str) -> None:
        """Sends a GET."""
        self._send(f"GET {path}", token, "")

    def post(self, path: str, token: str, body: str = "{}") -> None:
        """Sends a POST of JSON."""
        self._send_json("POST", path, token, body)

    def put(self, path: str, token: str, body: str) -> None:
        """Sends a PUT of JSON."""
        self._send_json("PUT", path, token, body)

    def receive(self) -> tuple[int, bytes] | None:
        """Waits for data; status and body once all of the answer is there.

        Raises ConnectionError where the server closed.
        """
        data = self.sock.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or length is None or len(body) < int(length[1]):
            return None
        self._buffer = b""
        return int(head[9:12]), body

    def answer(self) -> tuple[int, bytes]:
        """Waits for all of the answer: status and body. Raises ConnectionError where the server closed."""
        while (found := self.receive()) is None:
            pass
        return found

    def _send_json(self, method: str, path: str, token: str, body: str) -> None:
        headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._send(f"{method} {path}", token, headers, body)

    def _send(self, line: str, token: str, headers: str, body: str = "") -> None:
        self.sock.sendall(
            f"{line} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n{headers}\r\n{body}".encode()
        )

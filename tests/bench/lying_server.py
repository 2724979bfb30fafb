"""A WebSocket server that answers as the API does, but for one flaw: a benchmark that does not notice it lies.

Tokens are `CHAT-NUMBER`: whoever is in a chat receives what the others write there.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Literal

import orjson

from bench.plain_server import framed

Flaw = Literal["none", "loses", "doubles", "swaps", "keeps an acknowledgement", "refuses", "ignores pings"]

# Which message, or socket, the flaw meets.
_VICTIM = 3


class _Client:
    """One socket of the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.chat = ""
        self.buffer = b""

    def tell(self, event: str, data: Any) -> None:
        """Sends an event."""
        self.sock.sendall(framed(orjson.dumps({"event": event, "data": data})))

    def frames(self) -> Iterator[Any]:
        """The frames that have come whole; clients of the benchmarks mask with zeros."""
        while len(self.buffer) >= 6:
            length, begin = self.buffer[1] & 127, 6
            if length == 126:
                length, begin = int.from_bytes(self.buffer[2:4], "big"), 8
            if len(self.buffer) < begin + length:
                return
            content, self.buffer = self.buffer[begin : begin + length], self.buffer[begin + length :]
            yield orjson.loads(content)


class _Server:
    def __init__(self, flaw: Flaw) -> None:
        self._flaw = flaw
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._clients: list[_Client] = []
        self._ids, self._handshakes = count(1), count(1)
        self._seqs: dict[str, int] = {}
        self._held: tuple[_Client, dict[str, Any]] | None = None
        self._is_over = threading.Event()

    def stop(self) -> None:
        self._is_over.set()

    def serve(self) -> None:
        while not self._is_over.is_set():
            for key, _ in self._selector.select(0.05):
                if key.data is None:
                    sock, _ = self._listening.accept()
                    self._selector.register(sock, selectors.EVENT_READ, _Client(sock))
                else:
                    self._read(key.data)
        for client in [key.data for key in self._selector.get_map().values() if key.data is not None]:
            client.sock.close()
        self._listening.close()
        self._selector.close()

    def _read(self, client: _Client) -> None:
        try:
            data = client.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self._selector.unregister(client.sock)
            client.sock.close()
            if client in self._clients:
                self._clients.remove(client)
            return
        client.buffer += data
        if not client.chat:
            self._shake_hands(client)
            return
        for frame in client.frames():
            if frame["type"] == "ping" and self._flaw != "ignores pings":
                client.tell("pong", {})
            elif frame["type"] == "message":
                self._message(client, frame)

    def _shake_hands(self, client: _Client) -> None:
        if b"\r\n\r\n" not in client.buffer:
            return
        if self._flaw == "refuses" and next(self._handshakes) == _VICTIM:
            client.sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            return
        token = client.buffer.partition(b"token=")[2].partition(b" ")[0].decode()
        client.chat, client.buffer = token.partition("-")[0], b""
        client.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        self._clients.append(client)
        client.tell("hello", {})

    def _message(self, sender: _Client, frame: Any) -> None:
        chat, message_id = sender.chat, next(self._ids)
        seq = self._seqs[chat] = self._seqs.get(chat, 0) + 1
        data = {"id": message_id, "seq": seq, "chat_id": int(chat), "client_id": frame["data"].get("client_id")}
        is_met = message_id == _VICTIM
        if not (is_met and self._flaw == "keeps an acknowledgement"):
            sender.tell("ack", data | {"ref": frame.get("ref")})
        if is_met and self._flaw == "swaps":
            self._held = sender, data
            return
        for number, client in enumerate(self._others(sender)):
            if is_met and self._flaw == "loses" and number == 0:
                continue
            client.tell("new_message", data)
            if is_met and self._flaw == "doubles" and number == 0:
                client.tell("new_message", data)
        if self._held is not None:
            (held_sender, held), self._held = self._held, None
            for client in self._others(held_sender):
                client.tell("new_message", held)

    def _others(self, sender: _Client) -> list[_Client]:
        return [client for client in self._clients if client.chat == sender.chat and client is not sender]


@contextmanager
def lying_server(flaw: Flaw) -> Iterator[int]:
    """The port of a server with this flaw."""
    server = _Server(flaw)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.port
    finally:
        server.stop()
        thread.join()

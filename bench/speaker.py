"""One person on a socket who says something and notes when."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

import orjson

from bench.frames import ClientSocket, Refused


class Said(NamedTuple):
    """A stored message: its id, when its frame was sent, and when it was acknowledged (seconds of perf_counter)."""

    message_id: int
    sent_at: float
    acknowledged_at: float
    frame: bytes
    """The acknowledgement, which is as long as what the others receive."""


class Speaker:
    """The socket, used one message at a time."""

    def __init__(self, port: int, token: str) -> None:
        """Opens the socket; raises Refused."""
        self._client = ClientSocket(port, token)

    def say(self, chat_id: int, text: str) -> Said:
        """Sends a message and waits until it is acknowledged; raises Refused where it is not taken."""
        sent_at = perf_counter()
        self._client.send(orjson.dumps({"type": "message", "ref": 1, "data": {"chat_id": chat_id, "text": text}}))
        while True:
            for frame in self._client.receive():
                if frame.startswith(b'{"event":"error"'):
                    raise Refused(frame.decode())
                if frame.startswith(b'{"event":"ack"'):
                    return Said(orjson.loads(frame)["data"]["id"], sent_at, perf_counter(), frame)

    def close(self) -> None:
        """Closes the socket."""
        self._client.sock.close()

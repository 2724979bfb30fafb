"""How long Valkey takes to hand on many single copies: PUBLISH in one pipeline, received by one subscriber."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

_RECEIVE_BYTES = 1 << 20
_SECONDS = 30.0


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _connect(url: str) -> socket.socket:
    """A connection to the embedded server, which listens on a unix socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SECONDS)
    connection.connect(urlsplit(url).path)
    return connection


def _read_lines(connection: socket.socket, count: int) -> None:
    """Reads until so many lines have come. Raises RuntimeError where the server closes."""
    while count > 0:
        data = connection.recv(_RECEIVE_BYTES)
        if not data:
            raise RuntimeError("Valkey closed a connection of the benchmark.")
        count -= data.count(b"\n")


def milliseconds(url: str, content: bytes, copies: int) -> float:
    """From the first PUBLISH until one subscriber has all copies, each of one line and on a channel of its own."""
    channels = [b"bench:%d" % number for number in range(copies)]
    with _connect(url) as subscriber, _connect(url) as publisher:
        subscriber.sendall(_command(b"SUBSCRIBE", *channels))
        # A push of three parts: its head, then a length and a value for each; the last of a SUBSCRIBE is a number.
        _read_lines(subscriber, copies * 6)
        pipeline = b"".join(_command(b"PUBLISH", channel, content) for channel in channels)
        began = time.perf_counter()
        sending = threading.Thread(target=publisher.sendall, args=(pipeline,))
        sending.start()
        _read_lines(subscriber, copies * 7)
        ended = time.perf_counter()
        sending.join()
        _read_lines(publisher, copies)
    return (ended - began) * 1000

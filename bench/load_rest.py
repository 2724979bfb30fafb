"""Load over HTTP: keep-alive clients, each with one POST /api/messages on its way, by anybody to any chat.

One process with plain sockets, because the machine is shared with the server: a client library would cost more than
the server does.
"""

from __future__ import annotations

import random
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, count
from uuid import UUID

from bench.load import Measured, Plan, Stopwatch, failures, main

_STRAGGLERS_SECONDS = 10.0
_SENT = 201
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class _Client:
    """One connection and the request on its way."""

    __slots__ = ("_before", "_text", "_writers", "buffer", "sent_at", "sock")

    def __init__(self, plan: Plan, writers: Iterator[tuple[int, str]]) -> None:
        self.sock = socket.create_connection(("127.0.0.1", plan["port"]))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent_at = 0.0
        self._writers = writers
        self._text = plan["text"]
        self._before = (
            f"POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1:{plan['port']}\r\nContent-Type: application/json"
        )

    def send(self) -> None:
        """Sends one message by the next writer."""
        chat, token = next(self._writers)
        client_id = UUID(int=random.getrandbits(128))
        body = f'{{"chat_id":{chat},"text":"{self._text}","client_id":"{client_id}"}}'
        request = f"{self._before}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self.sent_at = time.perf_counter()
        self.sock.sendall(request.encode())

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body once all of the answer is there. Raises ConnectionError where the server closed."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or length is None or len(body) < int(length[1]):
            return None
        self.buffer = b""
        return int(head[9:12]), body


def _writers(plan: Plan) -> Iterator[tuple[int, str]]:
    """Chats and tokens at random; each token comes once at first, so that the server has seen all in the warm-up."""
    everyone = plan["writers"]
    once = {token: (chat, token) for chat, token in everyone}
    return chain(once.values(), (everyone[int(random.random() * len(everyone))] for _ in count()))


def load(plan: Plan) -> Measured:
    """Keeps all clients busy for the time of the plan, then waits for the last answers."""
    selector = selectors.DefaultSelector()
    writers = _writers(plan)
    clients = [_Client(plan, writers) for _ in range(plan["clients"])]
    for each in clients:
        selector.register(each.sock, selectors.EVENT_READ, each)
        each.send()
    acknowledged: list[int] = []
    times: list[float] = []
    others: Counter[str] = Counter()
    watch = Stopwatch(plan)
    waiting, going_on = len(clients), True
    while waiting and time.perf_counter() < watch.ends_at + _STRAGGLERS_SECONDS:
        for key, _ in selector.select(0.1):
            client: _Client = key.data
            answer = client.receive()
            if answer is None:
                continue
            status, body = answer
            if status == _SENT:
                acknowledged.append(int(body[6 : body.index(b",")]))
            else:
                others[f"{status} {body[:200].decode(errors='replace')}"] += 1
            if going_on:
                if watch.measuring:
                    times.append((time.perf_counter() - client.sent_at) * 1000)
                client.send()
            else:
                waiting -= 1
        going_on = going_on and watch.look(time.perf_counter(), len(acknowledged))
    problems = failures(others) + ([f"{waiting} requests were never answered"] if waiting else [])
    return watch.measured(times, 0, acknowledged, problems)


if __name__ == "__main__":
    main(load)

"""Load over HTTP: keep-alive clients, each with one POST /api/messages on its way, by anybody to any chat.

One process with plain sockets, because the machine is shared with the server: a client library would cost more than
the server does.
"""

from __future__ import annotations

import random
import selectors
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, count
from uuid import UUID

from bench.http_client import HttpClient
from bench.load import Measured, Plan, Stopwatch, failures, main

_SENT = 201


class _Client:
    """One connection and the request on its way."""

    __slots__ = ("_text", "_writers", "http", "sent_at")

    def __init__(self, plan: Plan, writers: Iterator[tuple[int, str]]) -> None:
        self.http = HttpClient(plan["port"])
        self.sent_at = 0.0
        self._writers = writers
        self._text = plan["text"]

    def send(self) -> None:
        """Sends one message by the next writer."""
        chat, token = next(self._writers)
        client_id = UUID(int=random.getrandbits(128))
        body = f'{{"chat_id":{chat},"text":"{self._text}","client_id":"{client_id}"}}'
        self.sent_at = time.perf_counter()
        self.http.post("/api/messages", token, body)


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
        selector.register(each.http.sock, selectors.EVENT_READ, each)
        each.send()
    acknowledged: list[int] = []
    times: list[float] = []
    others: Counter[str] = Counter()
    watch = Stopwatch(plan)
    waiting, going_on = len(clients), True
    while waiting and time.perf_counter() < watch.ends_at + plan["stragglers_seconds"]:
        for key, _ in selector.select(0.1):
            client: _Client = key.data
            answer = client.http.receive()
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

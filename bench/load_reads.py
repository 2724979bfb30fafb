"""Load over HTTP: keep-alive clients that read, each with one GET on its way, and look at what they are answered."""

from __future__ import annotations

import random
import selectors
import time
from collections import Counter
from typing import TypedDict

import orjson

from bench.http_client import HttpClient
from bench.load import Measured, Stopwatch, Timing, failures, main


class Request(TypedDict):
    """A GET and what its answer must hold."""

    path: str
    token: str
    rows: str
    """The field with the rows."""
    ids: list[int]
    """Their ids, in their order."""


class Plan(Timing):
    """What to read."""

    requests: list[Request]
    clients: int


class _Reader:
    """One connection and the request on its way."""

    __slots__ = ("http", "number", "sent_at")

    def __init__(self, port: int) -> None:
        self.http = HttpClient(port)
        self.number = 0
        self.sent_at = 0.0

    def ask(self, requests: list[Request]) -> None:
        """Sends one of the requests."""
        self.number = random.randrange(len(requests))
        self.sent_at = time.perf_counter()
        self.http.get(requests[self.number]["path"], requests[self.number]["token"])


def wrong(request: Request, status: int, body: bytes) -> str | None:
    """What is wrong with an answer, if anything."""
    if status != 200:
        return f"{status} {body[:200].decode(errors='replace')}"
    ids = [row["id"] for row in orjson.loads(body)[request["rows"]]]
    return None if ids == request["ids"] else f"not the rows that {request['path'].partition('?')[0]} has"


def load(plan: Plan) -> Measured:
    """Keeps all clients busy for the time of the plan, then waits for the last answers."""
    requests = plan["requests"]
    selector = selectors.DefaultSelector()
    readers = [_Reader(plan["port"]) for _ in range(plan["clients"])]
    for each in readers:
        selector.register(each.http.sock, selectors.EVENT_READ, each)
        each.ask(requests)
    good: dict[int, bytes] = {}
    times: list[float] = []
    others: Counter[str] = Counter()
    watch = Stopwatch(plan)
    answers, waiting, going_on = 0, len(readers), True
    while waiting and time.perf_counter() < watch.ends_at + plan["stragglers_seconds"]:
        for key, _ in selector.select(0.1):
            reader: _Reader = key.data
            answer = reader.http.receive()
            if answer is None:
                continue
            if watch.measuring and going_on:
                times.append((time.perf_counter() - reader.sent_at) * 1000)
            answers += 1
            # The same answer need not be looked at twice.
            if good.get(reader.number) != answer[1]:
                if (problem := wrong(requests[reader.number], *answer)) is None:
                    good[reader.number] = answer[1]
                else:
                    others[problem] += 1
            if going_on:
                reader.ask(requests)
            else:
                waiting -= 1
        going_on = going_on and watch.look(time.perf_counter(), answers)
    problems = failures(others) + ([f"{waiting} requests were never answered"] if waiting else [])
    return watch.measured(times, 0, [], problems)


if __name__ == "__main__":
    main(load)

"""Two people who have nothing to do with what is measured: how long they wait meanwhile.

They have a direct chat: one of them sends pings and messages at a fixed rate, which does not wait for the server, and
the other receives the messages. Times count from the moment at which a frame was due.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson

from bench.frames import ClientSocket
from bench.loop import Loop, main
from bench.quantiles import summary

_PAUSE_PING = 0.01
_PAUSE_MESSAGE = 0.05
_OPENING_SECONDS = 20.0
_PING = b'{"type":"ping"}'


class Others:
    """The two, on their sockets."""

    def __init__(self, loop: Loop, port: int, chat_id: int, tokens: list[str]) -> None:
        """Opens their sockets and begins. Raises RuntimeError where they are not greeted."""
        self._loop, self._chat_id = loop, chat_id
        self._greeted = 0
        self._pinged: deque[float] = deque()
        self._sent: dict[str, float] = {}
        self._times: dict[str, list[tuple[float, float]]] = {"ping": [], "message": []}
        self._writer, reader = (ClientSocket(port, token) for token in tokens)
        for client in (self._writer, reader):
            loop.add(client.sock, partial(self._read, client))
        if not loop.run_until(lambda: self._greeted == len(tokens), _OPENING_SECONDS):
            raise RuntimeError("The others were never greeted.")
        loop.every(_PAUSE_PING, self._ping)
        loop.every(_PAUSE_MESSAGE, self._send)

    def waits(self, begin: float, end: float, seconds: float) -> dict[str, Any]:
        """How long answers to pings and messages took that were due between two moments.

        What is on its way is waited for so many seconds; what has not come then is told as a problem.
        """

        def is_due(due: float) -> bool:
            return begin <= due <= end

        def has_come() -> bool:
            return not any(map(is_due, self._pinged)) and not any(map(is_due, self._sent.values()))

        self._loop.run_until(lambda: perf_counter() >= end, end - perf_counter())
        self._loop.run_until(has_come, seconds)
        lost = {
            "pings": sum(map(is_due, self._pinged)),
            "messages": sum(map(is_due, self._sent.values())),
        }
        found = {kind: [wait for due, wait in times if is_due(due)] for kind, times in self._times.items()}
        return {
            "ping": summary(found["ping"]),
            "message": summary(found["message"]),
            "problems": [f"{count} {what} of others were never answered" for what, count in lost.items() if count],
        }

    def _ping(self, due: float) -> None:
        self._pinged.append(due)
        self._writer.send(_PING)

    def _send(self, due: float) -> None:
        client_id = str(uuid4())
        self._sent[client_id] = due
        data = {"chat_id": self._chat_id, "text": "Are you still there?", "client_id": client_id}
        self._writer.send(orjson.dumps({"type": "message", "data": data}))

    def _read(self, client: ClientSocket) -> None:
        for frame in client.receive():
            event = orjson.loads(frame)
            if event["event"] == "pong":
                self._note("ping", self._pinged.popleft())
            elif event["event"] == "new_message":
                due = self._sent.pop(event["data"]["client_id"], None)
                if due is not None:
                    self._note("message", due)
            elif event["event"] == "hello":
                self._greeted += 1

    def _note(self, kind: str, due: float) -> None:
        self._times[kind].append((due, (perf_counter() - due) * 1000))


def _commands(loop: Loop, plan: Any) -> dict[str, Any]:
    others = Others(loop, plan["port"], plan["chat_id"], plan["tokens"])
    return {"is_greeted": lambda: True, "waits": others.waits}


if __name__ == "__main__":
    main(_commands)

"""Many sockets that only listen, and note when each message has arrived at each of them.

As lean as can be, because it shares the cores with the server: what has come is looked up by its bytes, which are the
same for every receiver, and only read by who sees them first.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any

import orjson

from bench.frames import RECEIVE_BYTES, ClientSocket, Refused
from bench.load import failures
from bench.loop import Loop, main
from bench.quantiles import summary

_HELLO = b'{"event":"hello"'
_NEW = b'{"event":"new_message"'
_MOST_KNOWN = 1000
# Whoever waits for each single arrival has the server wake it thousands of times, which costs the server more than the
# sending; receivers on machines of their own cost it nothing. Arrivals are noted so much late at most.
_GATHER_SECONDS = 0.002


class _Message:
    """When a message arrived at the first and last socket, at how many it did, and how often at each."""

    __slots__ = ("counts", "first", "last", "reached")

    def __init__(self, sockets: int, now: float) -> None:
        self.first = self.last = now
        self.counts = bytearray(sockets)
        self.reached = 0


class Listeners:
    """The sockets of one load program."""

    def __init__(self, loop: Loop, port: int) -> None:
        """No socket is open yet."""
        self._loop, self._port = loop, port
        self._forget()

    def _forget(self) -> None:
        self._clients: list[ClientSocket] = []
        self._begun: list[float] = []
        self._greeted: dict[int, float] = {}
        self._refused: Counter[str] = Counter()
        self._messages: dict[int, _Message] = {}
        # What single frames say, by their bytes with the header: the id of the message.
        self._known: dict[bytes, int] = {}
        self._waiting = 0

    def open(self, tokens: list[str], at_once: int, seconds: float) -> dict[str, Any]:
        """Opens a socket for each token, so many handshakes at once; answers when all are greeted or the time is over.

        Gives the seconds from the first connect to the last greeting, how many are open, the times of single sockets,
        and the problems.
        """
        began = time.perf_counter()
        for token in tokens:
            index = len(self._clients)
            self._begun.append(time.perf_counter())
            client = ClientSocket(self._port, token, waits=False)
            self._clients.append(client)
            self._loop.add(client.sock, partial(self._read, index))
            self._waiting += 1
            if self._waiting >= at_once:
                self._loop.run_until(lambda: self._waiting < at_once, seconds)
        self._loop.run_until(lambda: self._waiting <= 0, seconds)
        ours = range(len(self._clients) - len(tokens), len(self._clients))
        times = [(self._greeted[index] - self._begun[index]) * 1000 for index in ours if index in self._greeted]
        last = max((self._greeted[index] for index in ours if index in self._greeted), default=began)
        return {"seconds": last - began, "greeted": len(times), "times": summary(times), "problems": self.problems()}

    def arrivals(self, message_id: int, count: int, seconds: float) -> dict[str, float]:
        """Waits for a message at the first `count` sockets, for so many seconds.

        Gives when it arrived at the first and at the last, where it is missing, and where it came more than once.
        """

        def has_arrived() -> bool:
            message = self._messages.get(message_id)
            return message is not None and message.reached >= count

        self._loop.run_until(has_arrived, seconds, _GATHER_SECONDS)
        message = self._messages.get(message_id)
        found = bytearray(len(self._clients)) if message is None else message.counts
        return {
            "first": 0.0 if message is None else message.first,
            "last": 0.0 if message is None else message.last,
            "missing": found[:count].count(0),
            "doubled": sum(copies > 1 for copies in found),
            "strange": sum(copies > 0 for copies in found[count:]),
        }

    def problems(self) -> list[str]:
        """What the server refused or closed, and how many wait for their greeting."""
        found = failures(self._refused)
        ungreeted = len(self._clients) - len(self._greeted) - sum(self._refused.values())
        return found + ([f"{ungreeted} sockets were never greeted"] if ungreeted > 0 else [])

    def close(self) -> int:
        """Closes all sockets and forgets what they received; how many there were."""
        count = len(self._clients)
        for client in self._clients:
            if client.sock.fileno() >= 0:
                self._loop.remove(client.sock)
                client.sock.close()
        self._forget()
        return count

    def _read(self, index: int) -> None:
        client = self._clients[index]
        try:
            data = client.sock.recv(RECEIVE_BYTES)
            now = time.perf_counter()
            if client.is_between_frames and (known := self._known.get(data)) is not None:
                self._arrived(known, index, now)
                return
            if not data:
                raise Refused("closed")
            for frame in client.take(data):
                if frame.startswith(_NEW):
                    message_id = int(orjson.loads(frame)["data"]["id"])
                    if data.endswith(frame) and len(data) - len(frame) in (2, 4):
                        self._know(data, message_id)
                    self._arrived(message_id, index, now)
                elif frame.startswith(_HELLO) and index not in self._greeted:
                    self._greeted[index] = now
                    self._waiting -= 1
        except (OSError, Refused) as error:
            if index not in self._greeted:
                self._waiting -= 1
            self._refused[str(error)[:200]] += 1
            self._loop.remove(client.sock)
            client.sock.close()

    def _arrived(self, message_id: int, index: int, now: float) -> None:
        message = self._messages.get(message_id)
        if message is None:
            message = self._messages[message_id] = _Message(len(self._clients), now)
        message.last = now
        if not message.counts[index]:
            message.reached += 1
        message.counts[index] += 1

    def _know(self, data: bytes, message_id: int) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[data] = message_id


def _commands(loop: Loop, plan: Any) -> dict[str, Any]:
    listeners = Listeners(loop, plan["port"])
    return {name: getattr(listeners, name) for name in ("open", "arrivals", "problems", "close")}


if __name__ == "__main__":
    main(_commands)

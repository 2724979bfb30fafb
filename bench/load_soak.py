"""A long, moderate load: steady clients that write to each other, and others that come and go beside them.

Every message must reach each steady client of its circle once and in order; the others receive what they happen to.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any
from uuid import UUID

import orjson

from bench.frames import ClientSocket, Refused
from bench.http_client import HttpClient
from bench.load import failures
from bench.loop import Loop, main
from bench.quantiles import summary

_OPENING_SECONDS = 60.0
_SHORTEST_STAY, _LONGEST_STAY = 1.0, 10.0


class _Message:
    """A message on its way: when it was due, by whom, and at how many it has not arrived (the sender's ack counts)."""

    __slots__ = ("due", "missing", "sender")

    def __init__(self, due: float, sender: Steady, missing: int) -> None:
        self.due, self.sender, self.missing = due, sender, missing


class Steady:
    """A client that stays and writes."""

    __slots__ = ("chat", "last_seq", "sock")

    def __init__(self, sock: ClientSocket, chat: int) -> None:
        """`chat` is where it writes."""
        self.sock, self.chat, self.last_seq = sock, chat, 0


class Soak:
    """All clients of one load program."""

    def __init__(self, loop: Loop, plan: Any) -> None:
        """Opens the sockets of the steady ones and begins. Raises RuntimeError where they are not greeted."""
        self._loop, self._port, self._text = loop, plan["port"], plan["text"]
        self._greeted = 0
        self._messages: dict[str, _Message] = {}
        self._times: list[float] = []
        self._wrong: Counter[str] = Counter()
        self._sent = self._visits = 0
        self._absent: deque[str] = deque(token for circle in plan["circles"] for token in circle["coming"])
        self._circles = [
            [Steady(ClientSocket(self._port, token), circle["chat"]) for token in circle["steady"]]
            for circle in plan["circles"]
        ]
        steady = [member for circle in self._circles for member in circle]
        for member in steady:
            loop.add(member.sock.sock, partial(self._read, member))
        if not loop.run_until(lambda: self._greeted == len(steady), _OPENING_SECONDS):
            raise RuntimeError("The steady clients were never greeted.")
        self._is_writing = True
        loop.every(1 / plan["rate"], self._send)
        loop.every(1 / plan["visits"], self._come)

    def run(self, seconds: float) -> dict[str, Any]:
        """Goes on for so many seconds: what was sent, how long deliveries took, and who came."""
        self._times, self._sent, self._visits = [], 0, 0
        self._loop.run_until(lambda: False, seconds)
        return {"sent": self._sent / seconds, "visits": self._visits / seconds, **summary(self._times)}

    def finish(self, seconds: float) -> list[str]:
        """Writes nothing more and waits so long for what is on its way: the problems of the whole run."""
        self._is_writing = False
        self._loop.run_until(lambda: not self._messages, seconds)
        lost = sum(message.missing for message in self._messages.values())
        return failures(self._wrong) + ([f"{lost} deliveries or acknowledgements were lost"] if lost else [])

    def _send(self, due: float) -> None:
        if not self._is_writing:
            return
        circle = random.choice(self._circles)
        sender = random.choice(circle)
        client_id = str(UUID(int=random.getrandbits(128)))
        self._messages[client_id] = _Message(due, sender, len(circle))
        data = {"chat_id": sender.chat, "text": self._text, "client_id": client_id}
        sender.sock.send(orjson.dumps({"type": "message", "ref": 1, "data": data}))
        self._sent += 1

    def _read(self, member: Steady) -> None:
        try:
            frames = member.sock.receive()
        except (OSError, Refused) as error:
            self._wrong[f"a steady socket broken: {error}"] += 1
            self._loop.remove(member.sock.sock)
            return
        for frame in frames:
            event = orjson.loads(frame)
            name, data = event["event"], event["data"]
            if name == "new_message":
                self._arrived(member, data)
            elif name == "ack":
                self._count_down(data["client_id"])
            elif name == "error":
                self._wrong[f"{data['code']}"] += 1
            elif name == "hello":
                self._greeted += 1

    def _arrived(self, member: Steady, data: dict[str, Any]) -> None:
        message = self._messages.get(data["client_id"])
        # A hub that had to read a message from the database does not know which socket sent it.
        if message is not None and message.sender is member:
            return
        if data["seq"] <= member.last_seq or message is None:
            self._wrong["deliveries that came twice or out of order"] += 1
            return
        member.last_seq = data["seq"]
        self._times.append((perf_counter() - message.due) * 1000)
        self._count_down(data["client_id"])

    def _count_down(self, client_id: str) -> None:
        message = self._messages[client_id]
        message.missing -= 1
        if not message.missing:
            del self._messages[client_id]

    def _come(self, due: float) -> None:  # noqa: ARG002 - when somebody comes does not matter
        """Somebody comes: opens a socket, catches up once greeted, stays for a while and leaves."""
        if self._absent:
            self._visits += 1
            Visit(self._loop, self._port, self._absent.popleft(), self._wrong, self._absent.append)


class Visit:
    """A client that comes, catches up, stays a while and leaves."""

    def __init__(self, loop: Loop, port: int, token: str, wrong: Counter[str], leave: Callable[[str], None]) -> None:
        """`wrong` counts what went wrong; `leave` is told the token at the end."""
        self._loop, self._port, self._token, self._wrong, self._left = loop, port, token, wrong, leave
        self._http: HttpClient | None = None
        self._socket = ClientSocket(port, token, waits=False)
        self._is_here = True
        loop.add(self._socket.sock, self._read)

    def _read(self) -> None:
        try:
            frames = self._socket.receive()
        except (OSError, Refused) as error:
            self._wrong[f"a coming socket broken: {str(error)[:100]}"] += 1
            self._leave(perf_counter())
            return
        if self._http is None and any(frame.startswith(b'{"event":"hello"') for frame in frames):
            self._http = HttpClient(self._port)
            self._loop.add(self._http.sock, self._caught_up)
            self._http.get("/api/sync", self._token)

    def _caught_up(self) -> None:
        assert self._http is not None
        answer = self._http.receive()
        if answer is not None:
            if answer[0] != 200:
                self._wrong[f"a sync answered {answer[0]}"] += 1
            self._loop.remove(self._http.sock)
            self._http.sock.close()
            self._loop.once(random.uniform(_SHORTEST_STAY, _LONGEST_STAY), self._leave)

    def _leave(self, due: float) -> None:  # noqa: ARG002 - when it is does not matter
        if self._is_here:
            self._is_here = False
            self._loop.remove(self._socket.sock)
            self._socket.sock.close()
            self._left(self._token)


def _commands(loop: Loop, plan: Any) -> dict[str, Any]:
    soak = Soak(loop, plan)
    return {"run": soak.run, "finish": soak.finish}


if __name__ == "__main__":
    main(_commands)

"""Clients that come back all at once: each opens a socket and, once it is greeted, asks for what it has missed."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any

from bench.frames import ClientSocket, Refused
from bench.http_client import HttpClient
from bench.load import failures
from bench.load_reads import Request, wrong
from bench.loop import Loop, main
from bench.quantiles import summary


class Client:
    """One client, from its handshake to its answer."""

    def __init__(self, loop: Loop, port: int, request: Request) -> None:
        """Asks for the handshake; not greeted yet."""
        self.begun = time.perf_counter()
        self.done_at: float | None = None
        self.problem: str | None = None
        self._loop, self._port, self._request = loop, port, request
        self._socket = ClientSocket(port, request["token"], waits=False)
        self._http: HttpClient | None = None
        loop.add(self._socket.sock, self._read_socket)

    def _read_socket(self) -> None:
        try:
            frames = self._socket.receive()
        except (OSError, Refused) as error:
            self._loop.remove(self._socket.sock)
            self.problem = str(error)[:200]
            return
        if self._http is None and any(frame.startswith(b'{"event":"hello"') for frame in frames):
            self._http = HttpClient(self._port)
            self._loop.add(self._http.sock, partial(self._read_answer, self._http))
            self._http.get(self._request["path"], self._request["token"])

    def _read_answer(self, http: HttpClient) -> None:
        try:
            answer = http.receive()
        except OSError as error:
            self._loop.remove(http.sock)
            self.problem = str(error)
            return
        if answer is not None:
            self.done_at = time.perf_counter()
            self.problem = wrong(self._request, *answer)


class Resuming:
    """All clients of one load program."""

    def __init__(self, loop: Loop, port: int) -> None:
        """Nobody has come yet."""
        self._loop, self._port = loop, port

    def resume(self, requests: list[Request], seconds: float) -> dict[str, Any]:
        """Lets a client come for each request, and waits until all have caught up or the time is over.

        Gives the seconds until the last had caught up, the times of single clients, and the problems.
        """
        clients = [Client(self._loop, self._port, request) for request in requests]
        self._loop.run_until(lambda: all(client.done_at or client.problem for client in clients), seconds)
        times = [(client.done_at - client.begun) * 1000 for client in clients if client.done_at is not None]
        last = max((client.done_at for client in clients if client.done_at is not None), default=clients[0].begun)
        problems = failures(Counter(client.problem for client in clients if client.problem is not None))
        waiting = sum(client.done_at is None and client.problem is None for client in clients)
        return {
            "seconds": last - clients[0].begun,
            "times": summary(times),
            "problems": problems + ([f"{waiting} clients never caught up"] if waiting else []),
        }


def _commands(loop: Loop, plan: Any) -> dict[str, Any]:
    return {"resume": Resuming(loop, plan["port"]).resume}


if __name__ == "__main__":
    main(_commands)

"""The body of a load program that is told what to do while it runs: sockets, clocks, and commands as lines of JSON."""

from __future__ import annotations

import gc
import heapq
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_COMMANDS = 0
_LONGEST_WAIT = 1.0


class Loop:
    """Waits for sockets and clocks, in one thread."""

    def __init__(self) -> None:
        """Nothing is waited for yet."""
        self._selector = selectors.DefaultSelector()
        # When they are due, a number that tells equals apart, how often, and what to do then.
        self._clocks: list[tuple[float, int, float | None, Callable[[float], None]]] = []
        self._clock_count = 0
        self._lines: list[bytes] = []
        self._unfinished = b""
        self._is_over = False

    def add(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Calls `ready` whenever the socket has something to read."""
        self._selector.register(sock, selectors.EVENT_READ, ready)

    def remove(self, sock: socket.socket) -> None:
        """Forgets a socket."""
        self._selector.unregister(sock)

    def every(self, seconds: float, action: Callable[[float], None]) -> None:
        """Calls `action` again and again, each time with the moment at which it was due."""
        self._add_clock(time.perf_counter() + seconds, seconds, action)

    def once(self, seconds: float, action: Callable[[float], None]) -> None:
        """Calls `action` in so many seconds, with the moment at which it was due."""
        self._add_clock(time.perf_counter() + seconds, None, action)

    def run_until(self, done: Callable[[], bool], seconds: float, pause_seconds: float = 0.0) -> bool:
        """Serves sockets and clocks until it is done, or for so many seconds; whether it is done.

        Meanwhile it does not look at them for the pause, again and again, so that what comes gathers.
        """
        deadline = time.perf_counter() + seconds
        while not done():
            if time.perf_counter() >= deadline:
                return False
            self._turn(deadline)
            if pause_seconds:
                time.sleep(pause_seconds)
        return True

    def serve(self, commands: dict[str, Callable[..., Any]]) -> None:
        """Carries out commands, one after the other, and answers each with a line, until the input ends."""
        self._selector.register(_COMMANDS, selectors.EVENT_READ, self._read_commands)
        while not self._is_over or self._lines:
            if not self._lines:
                self._turn(time.perf_counter() + _LONGEST_WAIT)
                continue
            name, arguments = json.loads(self._lines.pop(0))
            print(json.dumps(commands[name](**arguments)), flush=True)

    def _add_clock(self, due: float, seconds: float | None, action: Callable[[float], None]) -> None:
        self._clock_count += 1
        heapq.heappush(self._clocks, (due, self._clock_count, seconds, action))

    def _turn(self, deadline: float) -> None:
        wakes = self._clocks[0][0] if self._clocks else deadline
        for key, _ in self._selector.select(
            max(0.0, min(wakes, deadline, time.perf_counter() + 1) - time.perf_counter())
        ):
            key.data()
        while self._clocks and self._clocks[0][0] <= time.perf_counter():
            due, _, seconds, action = heapq.heappop(self._clocks)
            if seconds is not None:
                self._add_clock(due + seconds, seconds, action)
            action(due)

    def _read_commands(self) -> None:
        data = os.read(_COMMANDS, 65536)
        if not data:
            self._is_over = True
            self._selector.unregister(_COMMANDS)
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        self._lines += lines


def main(commands_of: Callable[[Loop, Any], dict[str, Callable[..., Any]]]) -> None:
    """Runs a program: its plan is the first argument's file, and its commands come on standard input."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    # Pauses of the collector would be counted as the server's.
    gc.disable()
    loop = Loop()
    loop.serve(commands_of(loop, plan))

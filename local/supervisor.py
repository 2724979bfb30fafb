"""Keeps the programs and servers of one Paperplane running, in one loop of the main thread."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from local.embedded import EmbeddedServer
from local.program import Program
from local.terminal import Terminal

_TICK = 0.1
_PROBE_SECONDS = 0.5
# Together less than the three seconds within which everything has stopped.
_PROGRAMS_SECONDS = 1.8
_SERVERS_SECONDS = 0.8


class Supervisor:
    """Owns the running programs and servers; the terminal shows what they print."""

    def __init__(self, terminal: Terminal, should_stop: Callable[[], bool]) -> None:
        """`should_stop` is asked often and ends whatever goes on."""
        self._terminal = terminal
        self._should_stop = should_stop
        self._programs: list[Program] = []
        self._servers: list[EmbeddedServer] = []

    def start_servers(self, servers: Sequence[EmbeddedServer]) -> None:
        """Starts the servers one after the other. Raises InUse or ServerError."""
        for server in servers:
            if not self._should_stop():
                server.start()
                self._servers.append(server)

    def start_programs(self, programs: Sequence[Program]) -> None:
        """Starts the programs side by side."""
        for program in programs:
            if not self._should_stop():
                program.start()
                self._programs.append(program)

    def run_to_end(self, program: Program) -> int | None:
        """Runs a program that ends by itself; its exit status, or None where everything shall stop."""
        self.start_programs([program])
        while program.running and not self._should_stop():
            self._show_lines(_TICK / 2)
        if program.running or program.child is None:
            return None
        self._show_rest([program])
        self._programs.remove(program)
        return program.child.process.returncode

    def keep_running(self, url: str, when_ready: Callable[[], None]) -> None:
        """Returns when everything shall stop; calls `when_ready` once the API at `url` is. Raises KeepsDying."""
        ready = False
        while not self._should_stop():
            self._show_lines(_TICK)
            for item in self._all():
                if news := item.revive():
                    self._terminal.line(item.name, news)
            if not ready and _is_ready(url):
                ready = True
                when_ready()

    def stop(self) -> None:
        """Stops the programs, then the servers that they need, all within three seconds."""
        deadline = time.monotonic() + _PROGRAMS_SECONDS
        for program in self._programs:
            if program.child:
                program.child.ask_to_stop()
        while any(program.running for program in self._programs) and time.monotonic() < deadline:
            self._show_lines(_TICK / 5)
        for program in self._programs:
            if program.running and program.child:
                # An idle worker takes 2.6 s to end by itself; a job that is cut short is found by its sweep.
                program.child.kill()
                program.child.wait(1)
        self._show_rest(self._programs)
        deadline = time.monotonic() + _SERVERS_SECONDS
        for server in self._servers:
            server.server.ask_to_stop()
        for server in self._servers:
            server.server.stop(max(0.1, deadline - time.monotonic()))
        self._programs, self._servers = [], []

    def _all(self) -> list[Program | EmbeddedServer]:
        return [*self._servers, *self._programs]

    def _show_lines(self, seconds: float) -> None:
        """Shows what was printed; waits up to so many seconds for it."""
        outputs = [program.output for program in self._programs if program.output is not None]
        if outputs:
            select.select(outputs, [], [], seconds)
        else:
            time.sleep(seconds)
        for item in self._all():
            for line in item.read():
                self._terminal.line(item.name, line)

    def _show_rest(self, programs: Sequence[Program]) -> None:
        """Shows what dead programs printed last."""
        for program in programs:
            while lines := program.read():
                for line in lines:
                    self._terminal.line(program.name, line)


def _is_ready(url: str) -> bool:
    """Whether /readyz answers 200 at once; a patient answer would hold up the lines meanwhile."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()

"""How fast sockets are accepted, and what an idle one costs: `python -m bench.connect`.

The limit, measured in the same run by the same load program: one Python process that accepts and greets and looks at
nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep
from typing import Any

from bench import descriptors
from bench.audience import fill
from bench.figures import Figures, Table
from bench.held import Held
from bench.http_client import HttpClient
from bench.others import Others, watched
from bench.program import Program, running
from bench.progress import say
from bench.report import publish
from bench.stack import Stack, running_stack

_HANDSHAKES = 50
_SECONDS = 120.0
# The first sockets import, connect and fill caches: what they cost is not what a further one costs.
_FIRST = 50


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    storm: int
    """Sockets that are opened as fast as the client can."""
    idle: int
    """Sockets whose memory is measured."""
    settle_seconds: float
    """From the last greeting until the memory is looked at."""


class _Bench:
    """A run on a started stack."""

    def __init__(self, stack: Stack, tokens: list[str], options: Options, others: Others) -> None:
        self._stack, self._tokens, self._options, self._others = stack, tokens, options, others
        self.rows: dict[str, Figures] = {}
        self.problems: list[str] = []

    def memory(self) -> None:
        """What so many idle sockets cost, opened not too many at a time."""
        first, idle = self._tokens[:_FIRST], self._tokens[_FIRST : _FIRST + self._options.idle]
        with running("bench.load_listeners", {"port": self._stack.port}) as listeners:
            self._open(listeners, first, _HANDSHAKES)
            sleep(self._options.settle_seconds)
            before = Held.by(self._stack.processes()["api"])
            say(f"opening {len(idle):,} sockets")
            opened = self._open(listeners, idle, _HANDSHAKES)
            sleep(self._options.settle_seconds)
            after = Held.by(self._stack.processes()["api"])
            self.problems += listeners.ask("problems")
        row = {"sockets/s": len(idle) / opened["seconds"], "RSS KB": None, "PSS KB": None, "descriptors": None}
        if before is not None and after is not None:
            row |= {
                "RSS KB": (after.rss_kb - before.rss_kb) / len(idle),
                "PSS KB": (after.pss_kb - before.pss_kb) / len(idle),
                "descriptors": (after.descriptors - before.descriptors) / len(idle),
            }
        self.rows[f"each of {len(idle):,} idle sockets"] = row

    def storm(self, name: str, tokens: list[str], port: int | None = None) -> float:
        """Opens a socket for each token at once; sockets a second."""
        say(f"storm: {name}")
        with running("bench.load_listeners", {"port": port or self._stack.port}) as listeners:
            opened = self._open(listeners, tokens, len(tokens))
        rate = float(opened["greeted"] / opened["seconds"])
        self.rows[f"{len(tokens):,} at once, {name}"] = {"sockets/s": rate, "ratio": None, **opened["times"]}
        return rate

    def storms(self) -> None:
        """Storms by access token and by ticket, and the same against the plain server."""
        tokens = self._tokens[: self._options.storm]
        rates = {}
        for name in ("access tokens", "tickets"):
            # Tickets are good for half a minute.
            keys = _tickets(self._stack.port, tokens) if name == "tickets" else tokens
            self._others.begin()
            rates[f"{len(tokens):,} at once, {name}"] = self.storm(name, keys)
            self._others.end(f"storm by {name}")
        with running("bench.plain_server", None) as server:
            limit = self.storm("plain server (the limit)", tokens, server.ask("port"))
        for name, rate in rates.items():
            self.rows[name] = {**self.rows[name], "ratio": rate / limit}

    def _open(self, listeners: Program, tokens: list[str], at_once: int) -> Any:
        opened = listeners.ask("open", tokens=tokens, at_once=at_once, seconds=_SECONDS)
        self.problems += opened["problems"]
        return opened


def _tickets(port: int, tokens: list[str]) -> list[str]:
    """A ticket for each token. Raises RuntimeError where one is refused."""
    client = HttpClient(port)
    tickets = []
    for token in tokens:
        client.post("/api/auth/ws-ticket", token)
        status, body = client.answer()
        if status >= 300:
            raise RuntimeError(f"A ticket was refused: {status} {body.decode(errors='replace')}")
        tickets.append(json.loads(body)["ticket"])
    client.sock.close()
    return tickets


def measure(options: Options) -> Table:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    sockets = max(options.storm, options.idle + _FIRST)
    descriptors.allow(sockets)
    say("starting servers")
    with running_stack(1) as stack:
        audience = fill(stack, [sockets])
        stack.start()
        with watched(stack, audience) as others:
            bench = _Bench(stack, audience["listeners"], options, others)
            others.begin()
            sleep(options.settle_seconds)
            others.end("undisturbed")
            others.begin()
            bench.memory()
            others.end(f"{_HANDSHAKES} handshakes at once")
            bench.storms()
    return Table("connect", asdict(options), bench.rows | others.rows, bench.problems + others.problems)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.connect", description=__doc__)
    arguments.add_argument("--storm", type=int, default=1000, help="sockets opened as fast as the client can")
    arguments.add_argument("--idle", type=int, default=5000, help="sockets whose memory is measured")
    arguments.add_argument("--settle", type=float, default=3.0, help="seconds before memory is looked at")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a socket was refused or never greeted."""
    given = parser().parse_args(arguments)
    return publish([measure(Options(given.storm, given.idle, given.settle))], given.json)


if __name__ == "__main__":
    sys.exit(main())

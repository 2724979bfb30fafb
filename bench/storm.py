"""How long it takes until everybody is back after a break: `python -m bench.storm`.

Clients come back at the same moment; each opens a socket and, once it is greeted, asks for the 20 messages that it has
missed. The limit, measured in the same run: as many sockets at a process that accepts and greets and does nothing else,
and then as many times the statements of the answer, by pgbench.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep

from bench import descriptors, pgbench, places, read_statements
from bench.audience import CIRCLE, fill
from bench.figures import Figures, Table, middle
from bench.load_reads import Request
from bench.others import watched
from bench.places import BEHIND, Place
from bench.program import running
from bench.progress import say
from bench.report import publish
from bench.stack import Stack, running_stack

_SECONDS = 120.0
_PLACES = 100
_PGBENCH_CLIENTS = 8
_CHAT_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    clients: int
    """Clients that come back at once."""
    repeat: int
    """Storms, of which medians are taken."""
    pause_seconds: float
    """Before each storm, and how long the others are watched undisturbed."""


def request_of(place: Place) -> Request:
    """What a client that comes back asks for, and the messages that it must get."""
    path = f"/api/sync?cursor={place.cursor}"
    return {"path": path, "token": place.token, "rows": "messages", "ids": place.missed}


def measure(options: Options) -> Table:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    descriptors.allow(2 * options.clients)
    problems: list[str] = []
    rounds: list[Figures] = []
    say("starting servers")
    with running_stack(1) as stack:
        audience = fill(stack, [], circles=-(-options.clients // CIRCLE), messages=_CHAT_MESSAGES)
        with stack.database() as database:
            found = places.sample(database, audience, _CHAT_MESSAGES, options.clients)
        stack.start()
        with watched(stack, audience) as others:
            others.begin()
            sleep(options.pause_seconds)
            others.end("undisturbed")
            for number in range(options.repeat):
                say(f"storm {number + 1}")
                others.begin()
                with running("bench.load_resume", {"port": stack.port}) as load:
                    resumed = load.ask("resume", requests=[request_of(place) for place in found], seconds=_SECONDS)
                others.end(f"storm {number + 1}")
                problems += [f"storm {number + 1}: {problem}" for problem in resumed["problems"]]
                rounds.append({"seconds": resumed["seconds"], "ratio": None, **resumed["times"]})
                sleep(options.pause_seconds)
        sockets, reading = _limits(stack, found)
    storm, limit = middle(rounds), sockets + reading
    rows = {
        f"{options.clients:,} come back, {BEHIND} messages behind": {
            **storm,
            "ratio": limit / (storm["seconds"] or 1.0),
        },
        "the limit": {"seconds": limit, "ratio": 1.0, "p50 ms": None, "p99 ms": None, "max ms": None},
        "of it sockets": {"seconds": sockets, "ratio": None, "p50 ms": None, "p99 ms": None, "max ms": None},
    }
    return Table("storm", asdict(options), rows | others.rows, problems + others.problems)


def _limits(stack: Stack, found: Sequence[Place]) -> tuple[float, float]:
    """Seconds that so many sockets take at the plain server, and so many answers in PostgreSQL."""
    say("the limit")
    with (
        running("bench.plain_server", None) as server,
        running("bench.load_listeners", {"port": server.ask("port")}) as listeners,
    ):
        tokens = [place.token for place in found]
        opened = listeners.ask("open", tokens=tokens, at_once=len(tokens), seconds=_SECONDS)
    scripts = read_statements.scripts(stack, found[:_PLACES])["sync"]
    return float(opened["seconds"]), len(found) / pgbench.run(stack, scripts, _PGBENCH_CLIENTS, 2).rate


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    arguments.add_argument("--clients", type=int, default=500, help="clients that come back at once")
    arguments.add_argument("--repeat", type=int, default=3, help="storms, of which medians are taken")
    arguments.add_argument("--pause", type=float, default=2.0, help="seconds before each storm")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a client was refused or did not get what it had missed."""
    given = parser().parse_args(arguments)
    return publish([measure(Options(given.clients, given.repeat, given.pause))], given.json)


if __name__ == "__main__":
    sys.exit(main())

"""How fast messages are sent, durably, against what PostgreSQL does by itself: `python -m bench.send`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench import limit, stored
from bench.limit import Limit
from bench.load import Measured, Plan, run_load
from bench.people import People
from bench.report import Report, Row, publish
from bench.stack import Stack, running_stack

_STEADY_RATE = 1000.0
_FANOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    workers: int
    """API processes."""
    clients: int
    """Messages on their way at the same time: pgbench's clients, HTTP connections, and sends over sockets."""
    seconds: float
    """Of each measurement."""
    warm_up_seconds: float
    repeat: int
    """Rounds, of which medians are taken."""


class _Bench:
    """A run on a started stack."""

    def __init__(self, stack: Stack, people: People, options: Options) -> None:
        self._stack, self._people, self._options = stack, people, options
        self._sending = limit.script(stack)
        self.limits: list[float] = []
        self.problems: list[str] = []
        self.notes: list[str] = []

    def limit(self) -> Limit:
        """What the database does now."""
        say("pgbench")
        seconds = max(1, round(self._options.seconds))
        found = limit.measure(self._stack, self._sending, self._options.clients, seconds)
        self.limits.append(found.rate)
        return found

    def load(self, name: str, module: str, rate: float | None = None) -> Row:
        """One load, and whether all of it was stored; its ratio is not known yet."""
        say(name)
        with self._stack.database() as database:
            before = stored.places(database)
            measured = run_load(module, self._plan(rate))
            rows = stored.since(database, before)
            fanout = stored.wait_for_fanout(database, _FANOUT_SECONDS)
        found = measured["problems"] + stored.problems_of(rows, before, measured["acknowledged"])
        if fanout is None:
            found.append(f"unread counts are not up to date {_FANOUT_SECONDS:.0f} s after the last message")
        self.problems += [f"{name}: {problem}" for problem in found]
        self.notes += [f"{name}: {note}" for note in measured["notes"]]
        return _row(name, measured, fanout)

    def _plan(self, rate: float | None) -> Plan:
        return {
            "port": self._stack.port,
            "writers": self._people["writers"],
            "groups": self._people["groups"],
            "text": limit.TEXT,
            "clients": self._options.clients,
            "rate": rate,
            "warm_up_seconds": self._options.warm_up_seconds,
            "seconds": self._options.seconds,
            "processes": self._stack.processes(),
        }

    def round(self, before: Limit) -> tuple[list[Row], Limit]:
        """REST and sockets, then the limit again: ratios are to the mean of the limit before and after."""
        online = sum(len(tokens) for _, tokens in self._people["groups"])
        loads = [
            self.load(f"REST, {self._options.clients} clients", "bench.load_rest"),
            self.load(f"WebSocket, {online} online, {self._options.clients} on the way", "bench.load_socket"),
        ]
        steady = self.load(f"WebSocket, {online} online, {_STEADY_RATE:,.0f}/s", "bench.load_socket", _STEADY_RATE)
        after = self.limit()
        reference = (before.rate + after.rate) / 2
        name = f"pgbench, {self._options.clients} clients (the limit)"
        limit_row = Row(name, reference, 1.0, p50_ms=(before.mean_ms + after.mean_ms) / 2, cpu_us=after.cpu_us)
        return [limit_row, *(replace(row, ratio=row.rate / reference) for row in loads), steady], after


def measure(options: Options) -> Report:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    say("starting servers")
    with running_stack(options.workers) as stack:
        people: People = json.loads(stack.run("-m", "bench.people"))
        bench = _Bench(stack, people, options)
        stack.start()
        rounds = []
        latest = bench.limit()
        for _ in range(options.repeat):
            rows, latest = bench.round(latest)
            rounds.append(rows)
        return Report("send", asdict(options), rounds, bench.limits, bench.problems, bench.notes)


def say(text: str) -> None:
    """Tells a waiting person what is being done."""
    print(f"  {text} ...", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.send", description=__doc__)
    arguments.add_argument("--workers", type=int, default=1, help="API processes")
    arguments.add_argument("--clients", type=int, default=32, help="messages on their way at the same time")
    arguments.add_argument("--seconds", type=float, default=6, help="of each measurement")
    arguments.add_argument("--warm-up", type=float, default=2, help="seconds before each measurement")
    arguments.add_argument("--repeat", type=int, default=3, help="rounds, of which medians are taken")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where something was lost, doubled or refused."""
    given = parser().parse_args(arguments)
    report = measure(Options(given.workers, given.clients, given.seconds, given.warm_up, given.repeat))
    return publish([report], given.json)


def _row(name: str, measured: Measured, fanout: float | None) -> Row:
    return Row(
        name,
        measured["rate"],
        None,
        measured["deliveries_rate"] or None,
        measured["p50_ms"],
        measured["p99_ms"],
        measured["cpu_us"],
        fanout,
    )


if __name__ == "__main__":
    sys.exit(main())

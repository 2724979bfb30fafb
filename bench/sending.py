"""What the benchmarks of sending share: the limit, a load whose messages are checked, and the row that tells of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench import limit, stored
from bench.load import STRAGGLERS_SECONDS, Measured, Plan, run_load
from bench.people import People
from bench.pgbench import Limit
from bench.progress import say
from bench.report import Row
from bench.stack import Stack

_FANOUT_SECONDS = 60.0
_NEARLY = 0.95


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


class Sending:
    """A run on a stack."""

    def __init__(self, stack: Stack, options: Options) -> None:
        """Fills the database, starts the processes of the stack and measures the limit a first time."""
        self._stack, self._options = stack, options
        self._people: People = json.loads(stack.run("-m", "bench.people"))
        self._sending = limit.script(stack)
        self.limits: list[float] = []
        self.problems: list[str] = []
        self.notes: list[str] = []
        stack.start()
        self._latest = self._limit()

    @property
    def online(self) -> int:
        """How many people are online over sockets."""
        return sum(len(tokens) for _, tokens in self._people["groups"])

    def against_limit(self, loads: Sequence[Row]) -> list[Row]:
        """The limit, which is measured now again, and the loads with their ratio to its mean before and after."""
        before, self._latest = self._latest, self._limit()
        reference = (before.rate + self._latest.rate) / 2
        name = f"pgbench, {self._options.clients} clients (the limit)"
        mean_ms = (before.mean_ms + self._latest.mean_ms) / 2
        limit_row = Row(name, reference, 1.0, p50_ms=mean_ms, cpu_us=self._latest.cpu_us)
        return [limit_row, *(replace(row, ratio=row.rate / reference) for row in loads)]

    def _limit(self) -> Limit:
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
        if rate is not None and measured["rate"] < _NEARLY * rate:
            self.notes.append(f"{name}: asked for {rate:,.0f} msg/s, and {measured['rate']:,.0f} were done")
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
            "stragglers_seconds": STRAGGLERS_SECONDS,
            "processes": self._stack.processes(),
        }


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

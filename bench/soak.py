"""Whether anything grows or slows down with time: `python -m bench.soak --minutes 30`.

A moderate load, by clients that stay and others that come and go, in intervals; then the last quarter of the intervals
against the second, because the first is still warming up.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.audience import CIRCLE, Audience, fill
from bench.figures import Figures, Table, middle
from bench.held import Held
from bench.limit import TEXT
from bench.load import STRAGGLERS_SECONDS
from bench.program import running
from bench.progress import say
from bench.report import publish
from bench.stack import Stack, running_stack

_STEADY = CIRCLE // 2
_LEAST_INTERVALS = 8
"""With fewer there is no verdict."""

# How much more the last quarter may have than the second: a share of it, and as much besides.
_ALLOWED: Mapping[str, tuple[float, float]] = {
    "API MB": (0.05, 1.0),
    "worker MB": (0.05, 1.0),
    "Valkey MB": (0.10, 2.0),
    "API descriptors": (0.05, 5.0),
    "worker descriptors": (0.05, 5.0),
    "p50 ms": (0.5, 2.0),
    "p99 ms": (0.5, 10.0),
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    minutes: float
    interval_seconds: float
    rate: float
    """Messages a second."""
    visits: float
    """Clients that come in a second; each stays for up to ten."""
    circles: int
    """Circles of ten people, of whom five stay and write to each other."""


def verdict(intervals: Sequence[Figures]) -> list[str]:
    """What has grown from the second quarter of the intervals to the last; empty where all is flat."""
    quarter = len(intervals) // 4
    second, last = middle(intervals[quarter : 2 * quarter]), middle(intervals[-quarter:])
    grown = []
    for name, (share, besides) in _ALLOWED.items():
        before, after = second[name], last[name]
        if before is not None and after is not None and after > before * (1 + share) + besides:
            grown.append(f"{name} grew from {before:,.1f} to {after:,.1f}")
    return grown


def _held(stack: Stack) -> Figures:
    """What the processes hold now."""
    processes = stack.processes()
    figures: dict[str, float | None] = {}
    for name, part in (("API", "api"), ("worker", "worker"), ("Valkey", "valkey")):
        held = Held.by(processes[part])
        figures[f"{name} MB"] = None if held is None else held.pss_kb / 1024
        figures[f"{name} descriptors"] = None if held is None else float(held.descriptors)
    return figures


def _plan(stack: Stack, audience: Audience, options: Options) -> dict[str, object]:
    circles = [
        {
            "chat": circle["chats"][0],
            "steady": circle["tokens"][:_STEADY],
            "coming": circle["tokens"][_STEADY:],
        }
        for circle in audience["circles"]
    ]
    return {"port": stack.port, "text": TEXT, "rate": options.rate, "visits": options.visits, "circles": circles}


def measure(options: Options) -> Table:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    count = max(1, round(options.minutes * 60 / options.interval_seconds))
    intervals: list[Figures] = []
    say("starting servers")
    with running_stack(1) as stack:
        audience = fill(stack, [], circles=options.circles, messages=10)
        stack.start()
        with running("bench.load_soak", _plan(stack, audience, options)) as load:
            for number in range(count):
                say(f"interval {number + 1} of {count}")
                intervals.append({**load.ask("run", seconds=options.interval_seconds), **_held(stack)})
            problems = list(load.ask("finish", seconds=2 * STRAGGLERS_SECONDS))
    notes = []
    if count < _LEAST_INTERVALS:
        notes.append(f"too short for a verdict: that needs {_LEAST_INTERVALS} intervals")
    elif grown := verdict(intervals):
        problems += [f"not flat: {what}" for what in grown]
    else:
        notes.append("flat: the last quarter is as the second was")
    rows = {f"interval {number + 1}": figures for number, figures in enumerate(intervals)}
    return Table("soak", asdict(options), rows, problems, notes)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=30)
    arguments.add_argument("--interval", type=float, default=60, help="seconds of each row")
    arguments.add_argument("--rate", type=float, default=100, help="messages a second")
    arguments.add_argument("--visits", type=float, default=5, help="clients that come in a second")
    arguments.add_argument("--circles", type=int, default=20, help="circles of ten, of whom five stay")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where something was lost, doubled or refused, or is not flat."""
    given = parser().parse_args(arguments)
    options = Options(given.minutes, given.interval, given.rate, given.visits, given.circles)
    return publish([measure(options)], given.json)


if __name__ == "__main__":
    sys.exit(main())

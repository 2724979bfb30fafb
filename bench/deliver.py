"""How long messages take from one person to the others, at several rates: `python -m bench.deliver`.

First the highest rate, by senders that each wait for their acknowledgement; then shares of it, and a given rate, by
senders that do not wait for the server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.progress import say
from bench.report import Report, Row, publish
from bench.sending import Options, Sending
from bench.stack import running_stack

_SHARES = (0.25, 0.5, 0.9)
_LOAD = "bench.load_socket"


def measure(options: Options, rate: float) -> Report:
    """Runs the benchmark on a stack of its own; `rate` is the given one, in messages a second.

    Raises RuntimeError where a part of it fails.
    """
    say("starting servers")
    with running_stack(options.workers) as stack:
        sending = Sending(stack, options)
        rounds: list[Sequence[Row]] = []
        for _ in range(options.repeat):
            name = f"{sending.online} online"
            highest = sending.load(f"{name}, highest rate, {options.clients} on the way", _LOAD)
            steady = [sending.load(f"{name}, {share:.0%} of it", _LOAD, highest.rate * share) for share in _SHARES]
            steady.append(sending.load(f"{name}, {rate:,.0f}/s", _LOAD, rate))
            rounds.append(sending.against_limit([highest, *steady]))
        shown = asdict(options) | {"rate": rate}
        return Report("deliver", shown, rounds, sending.limits, sending.problems, sending.notes)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.deliver", description=__doc__)
    arguments.add_argument("--workers", type=int, default=1, help="API processes")
    arguments.add_argument("--clients", type=int, default=32, help="messages on their way at the highest rate")
    arguments.add_argument("--rate", type=float, default=1000, help="the given rate, in messages a second")
    arguments.add_argument("--seconds", type=float, default=6, help="of each measurement")
    arguments.add_argument("--warm-up", type=float, default=2, help="seconds before each measurement")
    arguments.add_argument("--repeat", type=int, default=1, help="rounds, of which medians are taken")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where something was lost, doubled or refused."""
    given = parser().parse_args(arguments)
    options = Options(given.workers, given.clients, given.seconds, given.warm_up, given.repeat)
    return publish([measure(options, given.rate)], given.json)


if __name__ == "__main__":
    sys.exit(main())

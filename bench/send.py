"""How fast messages are sent, durably, against what PostgreSQL does by itself: `python -m bench.send`."""

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


def measure(options: Options) -> Report:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    say("starting servers")
    with running_stack(options.workers) as stack:
        sending = Sending(stack, options)
        rounds: list[Sequence[Row]] = []
        for _ in range(options.repeat):
            loads = [
                sending.load(f"REST, {options.clients} clients", "bench.load_rest"),
                sending.load(f"WebSocket, {sending.online} online, {options.clients} on the way", "bench.load_socket"),
            ]
            rounds.append(sending.against_limit(loads))
        return Report("send", asdict(options), rounds, sending.limits, sending.problems, sending.notes)


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


if __name__ == "__main__":
    sys.exit(main())

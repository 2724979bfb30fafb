"""Runs all short benchmarks, one after the other, in under five minutes: `python -m bench`.

Each with fewer rounds than by itself; `bench.scale` and `bench.soak` take longer and are not among them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench import connect, deliver, fanout, reads, send, storm
from bench.progress import say
from bench.report import Publishable, publish
from bench.sending import Options


def benchmarks(workers: int) -> list[tuple[str, Callable[[], Publishable]]]:
    """The short benchmarks by name."""
    sending = Options(workers, clients=32, seconds=2, warm_up_seconds=1, repeat=1)
    reading = reads.Options(workers, (10_000, 100_000), clients=8, seconds=1.0, repeat=1, data=None)
    return [
        ("send", lambda: send.measure(sending)),
        ("deliver", lambda: deliver.measure(sending, 1000)),
        ("fanout", lambda: fanout.measure(fanout.Options((1000, 5000), messages=3, pause_seconds=1.0))),
        ("connect", lambda: connect.measure(connect.Options(storm=1000, idle=2000, settle_seconds=2.0))),
        ("reads", lambda: reads.measure(reading)),
        ("storm", lambda: storm.measure(storm.Options(clients=500, repeat=1, pause_seconds=2.0))),
    ]


def main() -> int:
    """The exit status: 1 where a benchmark found something lost, doubled or refused."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--workers", type=int, default=1, help="API processes, for sending, delivering and reading")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = arguments.parse_args()
    reports = []
    for name, measure in benchmarks(given.workers):
        say(name)
        reports.append(measure())
    return publish(reports, given.json)


if __name__ == "__main__":
    sys.exit(main())

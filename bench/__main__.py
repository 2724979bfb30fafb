"""Runs all short benchmarks, one after the other: `python -m bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import send
from bench.report import publish


def main() -> int:
    """The exit status: 1 where a benchmark found something lost, doubled or refused."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--workers", type=int, default=1, help="API processes")
    arguments.add_argument("--repeat", type=int, default=3, help="rounds, of which medians are taken")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = arguments.parse_args()
    defaults = send.parser().parse_args([])
    options = send.Options(given.workers, defaults.clients, defaults.seconds, defaults.warm_up, given.repeat)
    return publish([send.measure(options)], given.json)


if __name__ == "__main__":
    sys.exit(main())

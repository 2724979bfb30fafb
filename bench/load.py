"""What the load programs share: each is a process of its own, told a plan as JSON and answering with a Measured."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from bench import ROOT
from bench.cpu import CpuClock
from bench.quantiles import quantile

STRAGGLERS_SECONDS = 10.0


class Timing(TypedDict):
    """How long a load program measures, and which processes' CPU it tells."""

    port: int
    warm_up_seconds: float
    seconds: float
    stragglers_seconds: float
    """How long what is on its way at the end is waited for, before it counts as lost."""
    processes: dict[str, list[int]]


class Plan(Timing):
    """What a load program that sends messages is to do."""

    writers: list[tuple[int, str]]
    groups: list[tuple[int, list[str]]]
    text: str
    clients: int
    """Messages that may be on their way at the same time."""
    rate: float | None
    """Messages a second, or None for as many as the server takes."""


class Measured(TypedDict):
    """What a load program saw; rates and times are those of the measured seconds, without the warm-up."""

    rate: float
    deliveries_rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: dict[str, float]
    """Microseconds of CPU for one message, by part; `load` is the load program itself."""
    acknowledged: list[int]
    """The id of every acknowledged message, those of the warm-up included."""
    problems: list[str]
    notes: list[str]
    """What is no problem and yet worth knowing."""


class Stopwatch:
    """Counts messages and CPU between the end of the warm-up and the end of the measuring."""

    def __init__(self, plan: Timing) -> None:
        """Begins the warm-up."""
        self._processes = plan["processes"] | {"load": [os.getpid()]}
        self._clock: CpuClock | None = None
        self._seconds = plan["seconds"]
        self._used: dict[str, float] = {}
        self._begun = self._count = 0.0
        self.begins_at = time.perf_counter() + plan["warm_up_seconds"]
        self.ends_at = self.begins_at + self._seconds
        self.rate = 0.0

    @property
    def measuring(self) -> bool:
        """Whether the warm-up is over."""
        return self._clock is not None

    def look(self, now: float, count: int) -> bool:
        """Notes the time and how many messages were acknowledged by now; whether it goes on."""
        if self._clock is None:
            if now >= self.begins_at:
                self._clock, self._begun, self._count = CpuClock(self._processes), now, count
                self.ends_at = now + self._seconds
            return True
        if now < self.ends_at:
            return True
        done = max(1, count - self._count)
        self.rate = done / (now - self._begun)
        self._used = {name: seconds / done * 1e6 for name, seconds in self._clock.seconds().items()}
        return False

    def measured(
        self,
        milliseconds: Sequence[float],
        deliveries: int,
        acknowledged: list[int],
        problems: list[str],
        notes: Sequence[str] = (),
    ) -> Measured:
        """The result; `milliseconds` and `deliveries` are those of the measured seconds."""
        ordered = sorted(milliseconds)
        return {
            "rate": self.rate,
            "deliveries_rate": deliveries / self._seconds,
            "p50_ms": quantile(ordered, 0.5),
            "p99_ms": quantile(ordered, 0.99),
            "cpu_us": self._used,
            "acknowledged": acknowledged,
            "problems": problems,
            "notes": list(notes),
        }


def run_load(module: str, plan: Timing) -> Measured:
    """Runs a load program to its end. Raises RuntimeError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(plan), capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} failed:\n{done.stderr[-4000:]}")
    measured: Measured = json.loads(done.stdout)
    return measured


def main(load: Callable[[Any], Measured]) -> None:
    """The body of a load program."""
    plan = json.load(sys.stdin)
    # Pauses of the collector would be counted as the server's.
    gc.disable()
    json.dump(load(plan), sys.stdout)


def failures(counts: Mapping[str, int]) -> list[str]:
    """One sentence for each kind of answer that should not have come."""
    return [f"{count} answers were {answer}" for answer, count in sorted(counts.items())]

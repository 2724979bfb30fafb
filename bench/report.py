"""The numbers of a run as a table for people and as JSON for comparing."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Protocol


class Publishable(Protocol):
    """What a benchmark found."""

    @property
    def benchmark(self) -> str:
        """Its name."""

    @property
    def problems(self) -> Sequence[str]:
        """What was lost, doubled, refused or wrong; a run with problems has failed."""

    def text(self) -> str:
        """For people."""

    def content(self) -> dict[str, object]:
        """For comparing: all of it, JSON-ready."""


PARTS = ("api", "database", "valkey", "worker", "load")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement, or the medians of several of the same kind."""

    name: str
    rate: float
    """Messages a second."""
    ratio: float | None
    """Of the limit measured right before and after; None where the rate was given."""
    deliveries_rate: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    """Microseconds of CPU for one message, by part."""
    fanout_seconds: float | None = None
    """From the last message until all unread counts are up to date."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one benchmark."""

    benchmark: str
    options: Mapping[str, object]
    rounds: Sequence[Sequence[Row]]
    limits: Sequence[float]
    """Each measurement of the limit, in messages a second: how much they differ is the noise."""
    problems: Sequence[str]
    """What was lost, doubled or refused; a run with problems has failed."""
    notes: Sequence[str] = ()
    """What is no problem and yet worth knowing."""

    @property
    def medians(self) -> list[Row]:
        """One row for each kind, with the median of each number over the rounds."""
        kinds = dict.fromkeys(row.name for rows in self.rounds for row in rows)
        return [_median([row for rows in self.rounds for row in rows if row.name == kind]) for kind in kinds]

    def text(self) -> str:
        """The table of medians, the spread of the limit, and the problems."""
        names = max(len(row.name) for row in self.medians)
        head = f"{'':{names}}  {'msg/s':>7} {'ratio':>6} {'deliv/s':>8} {'p50 ms':>7} {'p99 ms':>7}"
        lines = [f"{head}   CPU µs/msg: " + " ".join(f"{part:>8}" for part in PARTS)]
        lines += [_line(row, names) for row in self.medians]
        low, high = min(self.limits), max(self.limits)
        lines.append(f"The limit moved between {low:,.0f} and {high:,.0f} msg/s during this run.")
        lines += [f"Note: {note}" for note in self.notes]
        lines += [f"PROBLEM: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def content(self) -> dict[str, object]:
        """All of it, JSON-ready."""
        return {
            "benchmark": self.benchmark,
            "machine": machine(),
            "options": dict(self.options),
            "medians": [asdict(row) for row in self.medians],
            "limits": list(self.limits),
            "rounds": [[asdict(row) for row in rows] for rows in self.rounds],
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    return {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def publish(reports: Sequence[Publishable], path: Path | None) -> int:
    """Prints the tables and writes the JSON where asked to; the exit status, 1 where there are problems."""
    for report in reports:
        print(f"\n{report.benchmark}\n{report.text()}", flush=True)
    if path is not None:
        path.write_text(json.dumps([report.content() for report in reports], indent=2) + "\n")
    return 1 if any(report.problems for report in reports) else 0


def _median(rows: Sequence[Row]) -> Row:
    def of(value: Callable[[Row], float | None]) -> float | None:
        known = [found for row in rows if (found := value(row)) is not None]
        return median(known) if known else None

    return Row(
        rows[0].name,
        median(row.rate for row in rows),
        of(lambda row: row.ratio),
        of(lambda row: row.deliveries_rate),
        of(lambda row: row.p50_ms),
        of(lambda row: row.p99_ms),
        {part: median(row.cpu_us.get(part, 0.0) for row in rows) for part in rows[0].cpu_us},
        of(lambda row: row.fanout_seconds),
    )


def _line(row: Row, names: int) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    deliveries = "" if row.deliveries_rate is None else f"{row.deliveries_rate:,.0f}"
    p50 = "" if row.p50_ms is None else f"{row.p50_ms:.1f}"
    p99 = "" if row.p99_ms is None else f"{row.p99_ms:.1f}"
    cpu = " ".join(f"{row.cpu_us[part]:>8.0f}" if part in row.cpu_us else " " * 8 for part in PARTS)
    numbers = f"{row.rate:>7,.0f} {ratio:>6} {deliveries:>8} {p50:>7} {p99:>7}"
    return f"{row.name:{names}}  {numbers}               {cpu}".rstrip()

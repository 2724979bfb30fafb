"""What a benchmark found, as a table whose columns are its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.report import machine

Figures = Mapping[str, float | None]
"""Numbers by the names of their columns, units included; None where there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Table:
    """One run of one benchmark."""

    benchmark: str
    options: Mapping[str, object]
    rows: Mapping[str, Figures]
    """The figures of each thing that was measured, by its name."""
    problems: Sequence[str]
    """What was lost, doubled, refused or wrong; a run with problems has failed."""
    notes: Sequence[str] = ()
    """What is no problem and yet worth knowing."""

    def text(self) -> str:
        """The rows, under a new head wherever the columns change, then the notes and the problems."""
        width = max(map(len, self.rows), default=0)
        lines: list[str] = []
        columns: list[str] = []
        for name, figures in self.rows.items():
            if list(figures) != columns:
                columns = list(figures)
                lines.append("  ".join([" " * width, *(f"{column:>9}" for column in columns)]))
            cells = [f"{written(figures[column]):>{max(9, len(column))}}" for column in columns]
            lines.append("  ".join([f"{name:{width}}", *cells]).rstrip())
        lines += [f"Note: {note}" for note in self.notes]
        lines += [f"PROBLEM: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def content(self) -> dict[str, object]:
        """All of it, JSON-ready."""
        return {
            "benchmark": self.benchmark,
            "machine": machine(),
            "options": dict(self.options),
            "rows": {name: dict(figures) for name, figures in self.rows.items()},
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def middle(rounds: Sequence[Figures]) -> Figures:
    """The median of each column; None where one round has nothing to tell."""
    columns = {name: [row[name] for row in rounds] for name in rounds[0]}
    return {
        name: median(known) if len(known := [value for value in values if value is not None]) == len(rounds) else None
        for name, values in columns.items()
    }


def written(number: float | None) -> str:
    """A number with three digits that count, or all of them where it has more."""
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"

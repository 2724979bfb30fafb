"""Percentiles, in one place: the nearest rank, without interpolation."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the sorted values lie; 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and greatest of values in milliseconds, as columns of a table."""
    ordered = sorted(values)
    return {
        "p50 ms": quantile(ordered, 0.5),
        "p99 ms": quantile(ordered, 0.99),
        "max ms": ordered[-1] if ordered else 0.0,
    }

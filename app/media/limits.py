"""How much one file may cost: what the child holds itself to and the parent watches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds of processor and of wall clock, bytes of memory and of each written file, and what may be in a file."""

    cpu_seconds: int
    seconds: float
    memory: int
    growth: int  # Bytes that all written files together may have beyond the size of the original.
    most_pixels: int
    most_seconds: int


def configured() -> Limits:
    """The limits of the settings."""
    from config import settings  # Only the parent has settings.

    chosen = settings()
    return Limits(
        cpu_seconds=chosen.media_cpu_limit,
        seconds=chosen.media_time_limit,
        memory=int(chosen.media_memory_limit),
        growth=int(chosen.media_growth_limit),
        most_pixels=chosen.media_max_pixels,
        most_seconds=chosen.media_max_duration,
    )

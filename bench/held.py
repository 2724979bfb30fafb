"""What processes hold: memory and descriptors, from /proc; None where the system has none (macOS)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bench.cpu import family

_PROC = Path("/proc")


class Held(NamedTuple):
    """What some processes hold together."""

    rss_kb: int
    """Memory in KB that is present, shared pages counted in each process."""
    pss_kb: int
    """Memory in KB with shared pages divided among those who share them."""
    descriptors: int

    @classmethod
    def by(cls, roots: list[int]) -> Held | None:
        """What the processes `roots` and all below them hold now."""
        found = [each for pid in family(roots) if (each := _of(pid)) is not None]
        return cls(*(sum(values) for values in zip(*found, strict=True))) if found else None


def _of(pid: int) -> Held | None:
    folder = _PROC / str(pid)
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
        return Held(sizes["Rss"], sizes["Pss"], len(list((folder / "fd").iterdir())))
    except (OSError, KeyError):
        return None

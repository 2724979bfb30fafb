"""CPU time of processes, their children included; steadier than rates on a machine that is shared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(roots: Iterable[int]) -> float | None:
    """Seconds of CPU that the processes `roots` and all below them have used, ended children included.

    None where the system has no /proc (macOS).
    """
    processes = _processes()
    if not processes:
        return None
    return sum(processes[pid][1] for pid in _family(roots, processes) if pid in processes) / _TICKS


def family(roots: Iterable[int]) -> list[int]:
    """The processes `roots` and all below them."""
    return _family(roots, _processes())


def _family(roots: Iterable[int], processes: Mapping[int, tuple[int, int]]) -> list[int]:
    below: dict[int, list[int]] = {}
    for pid, (parent, _) in processes.items():
        below.setdefault(parent, []).append(pid)
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += below.get(pid, ())
    return found


class CpuClock:
    """The CPU time that named groups of processes use from its making to each reading."""

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        """`groups` are root process ids by name."""
        self._groups = {name: list(roots) for name, roots in groups.items()}
        self._begin = self._now()

    def seconds(self) -> dict[str, float]:
        """Seconds by name since the beginning; empty where the system does not tell."""
        return {name: used - self._begin[name] for name, used in self._now().items() if name in self._begin}

    def _now(self) -> dict[str, float]:
        used = {name: cpu_seconds(roots) for name, roots in self._groups.items()}
        return {name: seconds for name, seconds in used.items() if seconds is not None}


def _processes() -> dict[int, tuple[int, int]]:
    """Each process's parent and its ticks of CPU, those of its ended children included; see proc(5)."""
    found = {}
    for folder in _PROC.iterdir() if _PROC.is_dir() else ():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            fields = text.rpartition(")")[2].split()
            found[int(folder.name)] = (int(fields[1]), sum(int(field) for field in fields[11:15]))
    return found

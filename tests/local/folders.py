"""Short folders for servers, and what is still alive in them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder whose path leaves room for a unix socket's name; pytest's own are too long for that."""
    folder = Path(tempfile.mkdtemp(prefix="pp-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alive(*pids: int) -> bool:
    """Whether any of the processes runs; one that merely waits to be reaped does not."""
    listed = subprocess.run(
        ["ps", "-o", "stat=", *(part for pid in pids for part in ("-p", str(pid)))],
        capture_output=True,
        text=True,
        check=False,
    )
    return any(not line.strip().startswith("Z") for line in listed.stdout.splitlines())


def descendants(pid: int) -> list[int]:
    """All processes that the process started, and theirs."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents: dict[int, int] = {}
    for line in listed.stdout.splitlines():
        child, parent = line.split()
        parents[int(child)] = int(parent)
    found = [pid]
    for above in found:
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]

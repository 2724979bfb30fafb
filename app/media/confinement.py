"""Takes from the child, before it looks at the file, all that it does not need."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from app.media import folders, syscalls

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_OPEN_FILES = 64
_NICENESS = 10


def confine(*, parent: int, cpu_seconds: int, memory: int, largest_file: int, file: Path, folder: Path) -> None:
    """Sets limits, priority and permissions of this process; none of it can be taken back.

    Memory and the largest file are bytes. Raises ProcessLookupError where the parent is gone.
    """
    die_with(parent)
    os.nice(_NICENESS)
    # Where memory is short, the kernel ends this process and not the worker.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - quicker to load
        score.write("1000")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # Not before: it takes the file above away.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    with contextlib.suppress(ValueError):  # macOS knows no such limit.
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    folders.confine_to(file, folder)
    syscalls.forbid()


def die_with(parent: int) -> None:
    """Has the kernel end this process with its parent. Raises ProcessLookupError where that one is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise ProcessLookupError("the process that asked for this one is gone")

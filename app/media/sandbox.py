"""Starts the child, waits within limits, and ends it and all that it started, whatever it does.

For plain processes such as Celery's: it waits by select(), and the child dies with the thread that started it. Linux
confines it fully; elsewhere time, disk and the killing of its group are what holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.media.limits import Limits
from app.media.outcome import FailedExamination, Failure, Refusal, RefusedFile

LOOK = "app.media.looking:look"
_PROJECT = Path(__file__).resolve().parents[2]
_LARGEST_REPORT = 65_536
_LONGEST_DETAIL = 4000
_PAUSE = 0.05  # Seconds between looks at the disk and at whether it has ended.
# Signals by which a decoder that met its limits, or a hostile file, ends a process.
_BY_LIMIT = frozenset({signal.SIGXCPU, signal.SIGXFSZ})
_BY_CRASH = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP})


@dataclass(frozen=True, slots=True)
class Report:
    """What the child says it found; not to be believed before it is checked."""

    found: Any


Ending = Report | RefusedFile | FailedExamination


def run(path: Path, folder: Path, limits: Limits, work: str = LOOK) -> Ending:
    """Has the work done on the file in a child that may write to the folder only. Raises nothing."""
    try:
        allowance = path.stat().st_size + limits.growth
        child = _start(path, folder, limits, allowance, work)
    except (OSError, subprocess.SubprocessError) as error:
        return FailedExamination(Failure.NOT_STARTED, repr(error))
    assert child.stdout is not None
    report = b""
    early: RefusedFile | FailedExamination | None = None
    try:
        report, early = _watched(child, child.stdout.fileno(), folder, limits.seconds, allowance)
    except OSError as error:
        early = FailedExamination(Failure.DEFECT, repr(error))
    finally:
        code = _end(child)
    return early or _judged(code, report)


def _start(path: Path, folder: Path, limits: Limits, allowance: int, work: str) -> subprocess.Popen[bytes]:
    order = {
        "work": work,
        "request": {
            "path": str(path.resolve()),
            "folder": str(folder.resolve()),
            "most_pixels": limits.most_pixels,
            "most_seconds": limits.most_seconds,
        },
        "confine": {
            "parent": os.getpid(),
            "cpu_seconds": limits.cpu_seconds,
            "memory": limits.memory,
            "largest_file": allowance,
        },
    }
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        # Neither the user's packages nor the folder it runs in are looked at, nor the hooks of site-packages.
        [sys.executable, "-S", "-s", "-P", "-m", "app.media.child", json.dumps(order)],
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )


def _environment() -> Mapping[str, str]:
    """Where Python finds its packages, and nothing of the parent's: there are secrets in it."""
    packages = [entry for entry in sys.path if entry and Path(entry).is_absolute()]
    return {
        "PYTHONPATH": os.pathsep.join([str(_PROJECT), *packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",  # Each further one takes 64 MiB of what the child may address.
    }


def _watched(
    child: subprocess.Popen[bytes], pipe: int, folder: Path, seconds: float, allowance: int
) -> tuple[bytes, RefusedFile | FailedExamination | None]:
    """The child's report, read until it ends; or why it is ended before."""
    deadline = time.monotonic() + seconds
    report, is_open = b"", True
    while is_open and not _has_ended(child):
        if time.monotonic() > deadline:
            return report, FailedExamination(Failure.TIMED_OUT)
        if _written(folder) > allowance:
            return report, RefusedFile(Refusal.TOO_COSTLY)
        if select.select([pipe], [], [], _PAUSE)[0]:
            piece = os.read(pipe, _LARGEST_REPORT)
            report, is_open = report + piece, bool(piece)
        if len(report) > _LARGEST_REPORT:
            return report, FailedExamination(Failure.GARBLED, "a report without end")
    return _rest(child, pipe, report, deadline)


def _rest(
    child: subprocess.Popen[bytes], pipe: int, report: bytes, deadline: float
) -> tuple[bytes, FailedExamination | None]:
    """What is left in the pipe of an ended child; waits for one that has only closed its end."""
    while not _has_ended(child):
        if time.monotonic() > deadline:
            return report, FailedExamination(Failure.TIMED_OUT)
        time.sleep(_PAUSE / 10)
    while len(report) <= _LARGEST_REPORT and select.select([pipe], [], [], 0)[0]:
        piece = os.read(pipe, _LARGEST_REPORT)
        if not piece:
            break
        report += piece
    return report, None


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether it is over. It stays a zombie, so that its group's number is nobody else's until the group is killed."""
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(child: subprocess.Popen[bytes]) -> int:
    """Kills what is left of the child's group; gives its exit code, negative for a signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies.
        os.killpg(child.pid, signal.SIGKILL)
    if child.stdout is not None:
        child.stdout.close()
    return child.wait()


def _written(folder: Path) -> int:
    """Bytes of all files in the folder."""
    return sum(_size(entry) for entry in os.scandir(folder))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _judged(code: int, report: bytes) -> Ending:
    if code == -signal.SIGKILL:
        return FailedExamination(Failure.KILLED)
    if -code in _BY_LIMIT:
        return RefusedFile(Refusal.TOO_COSTLY)
    if -code in _BY_CRASH:
        return RefusedFile(Refusal.DAMAGED)
    if code != 0:
        return FailedExamination(Failure.DEFECT, f"ended with {code}")
    try:
        said = json.loads(report)
        if "refused" in said:
            return RefusedFile(Refusal(said["refused"]), str(said.get("detail", ""))[:_LONGEST_DETAIL])
        if "failed" in said:
            return FailedExamination(Failure(said["failed"]), str(said.get("detail", ""))[:_LONGEST_DETAIL])
        return Report(said["found"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return FailedExamination(Failure.GARBLED, repr(error)[:200])

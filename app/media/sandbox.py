"""Has a child look at a file, waits within limits, and ends it and all that it started, whatever it does.

For plain processes such as Celery's: it waits by select(), and the child dies with the thread that started it. Linux
confines it fully; elsewhere time, disk and the killing of its group are what holds.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.media import children
from app.media.children import Child, NurseryGone
from app.media.limits import Limits
from app.media.outcome import FailedExamination, Failure, Refusal, RefusedFile

LOOK = "app.media.looking:look"
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
        child = children.bear(_order(path, folder, limits, allowance, work))
    except (OSError, subprocess.SubprocessError) as error:
        children.give_up()
        return FailedExamination(Failure.NOT_STARTED, repr(error))
    report = b""
    early: RefusedFile | FailedExamination | None = None
    try:
        report, early = _watched(child, folder, limits.seconds, allowance)
    except OSError as error:
        early = FailedExamination(Failure.DEFECT, repr(error))
    finally:
        code = _end(child)
    return early or _judged(code, report)


def _order(path: Path, folder: Path, limits: Limits, allowance: int, work: str) -> Mapping[str, Any]:
    return {
        "work": work,
        "request": {
            "path": str(path.resolve()),
            "folder": str(folder.resolve()),
            "most_pixels": limits.most_pixels,
            "most_seconds": limits.most_seconds,
        },
        "confine": {"cpu_seconds": limits.cpu_seconds, "memory": limits.memory, "largest_file": allowance},
    }


def _watched(
    child: Child, folder: Path, seconds: float, allowance: int
) -> tuple[bytes, RefusedFile | FailedExamination | None]:
    """The child's report, read until it ends; or why it is ended before."""
    deadline = time.monotonic() + seconds
    report, is_open = b"", True
    while is_open and not child.has_ended():
        if time.monotonic() > deadline:
            return report, FailedExamination(Failure.TIMED_OUT)
        if _written(folder) > allowance:
            return report, RefusedFile(Refusal.TOO_COSTLY)
        if select.select([child.report], [], [], _PAUSE)[0]:
            piece = os.read(child.report, _LARGEST_REPORT)
            report, is_open = report + piece, bool(piece)
        if len(report) > _LARGEST_REPORT:
            return report, FailedExamination(Failure.GARBLED, "a report without end")
    return _rest(child, report, deadline)


def _rest(child: Child, report: bytes, deadline: float) -> tuple[bytes, FailedExamination | None]:
    """What is left in the pipe of an ended child; waits for one that has only closed its end."""
    while not child.has_ended():
        if time.monotonic() > deadline:
            return report, FailedExamination(Failure.TIMED_OUT)
        time.sleep(_PAUSE / 10)
    while len(report) <= _LARGEST_REPORT and select.select([child.report], [], [], 0)[0]:
        piece = os.read(child.report, _LARGEST_REPORT)
        if not piece:
            break
        report += piece
    return report, None


def _end(child: Child) -> int:
    """Ends the child; its exit code, negative for a signal."""
    try:
        return child.end()
    except NurseryGone:
        children.give_up()
        return -signal.SIGKILL


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

"""Children that look at files, as their parent sees them: born of a nursery, of which each thread has its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.media.nursery import BURY, ENDED, NUMBER

_PROJECT = Path(__file__).resolve().parents[2]
_MOST_BIRTHS = 1000  # Of one nursery: what its children share, such as where libraries lie, does not stay for ever.


class NurseryGone(OSError):
    """The nursery has ended, and all that it bore with it."""


class Child:
    """A process that looks at one file. `report` is the end of its pipe that is read."""

    def __init__(self, nursery: Nursery, pid: int, report: int) -> None:
        self._nursery = nursery
        self._pid = pid
        self.report = report
        self._has_ended = False

    def has_ended(self) -> bool:
        """Whether it is over. Raises NurseryGone."""
        if not self._has_ended and self._nursery.has_said_something():
            self._has_ended = self._nursery.heard(len(ENDED)) == ENDED
        return self._has_ended

    def end(self) -> int:
        """Kills what is left of its group; gives its exit code, negative for a signal. Raises NurseryGone."""
        os.close(self.report)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies.
            os.killpg(self._pid, signal.SIGKILL)
        if not self._has_ended:
            self._nursery.heard(len(ENDED))
        return self._nursery.buried()


class Nursery:
    """One process that bears children, one at a time."""

    def __init__(self, line: socket.socket, process: subprocess.Popen[bytes]) -> None:
        self._line = line
        self._process = process
        self._births = 0
        self._owner = os.getpid()

    def bear(self, order: Mapping[str, Any]) -> Child:
        """A child that carries out the order. Raises OSError."""
        ours, report = os.pipe()
        try:
            socket.send_fds(self._line, [json.dumps(order).encode() + b"\n"], [report])
            pid = NUMBER.unpack(self.heard(NUMBER.size))[0]
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(report)
        self._births += 1
        return Child(self, pid, ours)

    def serves(self) -> bool:
        """Whether it is ours, and not that of the process that this one was forked from, and young enough."""
        return self._owner == os.getpid() and self._births < _MOST_BIRTHS

    def has_said_something(self) -> bool:
        """Whether it has told something, or has ended."""
        return bool(select.select([self._line], [], [], 0)[0])

    def heard(self, size: int) -> bytes:
        """So many bytes of what it tells. Raises NurseryGone."""
        told = b""
        while len(told) < size:
            try:
                piece = self._line.recv(size - len(told))
            except ConnectionError:
                piece = b""
            if not piece:
                raise NurseryGone("the nursery has ended")
            told += piece
        return told

    def buried(self) -> int:
        """Lets go of the child; gives its exit code. Raises NurseryGone."""
        with contextlib.suppress(ConnectionError):
            self._line.sendall(BURY)
        return int(NUMBER.unpack(self.heard(NUMBER.size))[0])

    def close(self) -> None:
        """Ends the process, and with it what it has borne."""
        self._line.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()

    def __del__(self) -> None:
        self.close()


class _Nurseries(threading.local):
    """That of this thread: the kernel ends a process with the thread that started it."""

    current: Nursery | None = None


_nurseries = _Nurseries()


def bear(order: Mapping[str, Any]) -> Child:
    """A new child. Raises OSError, subprocess.SubprocessError."""
    if _nurseries.current is not None and not _nurseries.current.serves():
        give_up()
    if _nurseries.current is None:
        _nurseries.current = _founded()
    return _nurseries.current.bear(order)


def give_up() -> None:
    """Ends the nursery of this thread; the next child has a new one."""
    gone, _nurseries.current = _nurseries.current, None
    if gone is not None:
        gone.close()


def _founded() -> Nursery:
    line, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                # Neither the user's packages nor the folder it runs in are looked at, nor the hooks of site-packages.
                [sys.executable, "-S", "-s", "-P", "-m", "app.media.nursery", str(theirs.fileno()), str(os.getpid())],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # What libraries print is no report.
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
    except BaseException:
        line.close()
        raise
    return Nursery(line, process)


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

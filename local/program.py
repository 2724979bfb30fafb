"""One program of `make run`: started, read line by line, and started again when it dies."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local.processes import Child
from local.terminal import Lines

_TOO_MANY_DEATHS = 5
_DEATHS_WINDOW = 60.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


class KeepsDying(Exception):
    """A program died so often that starting it again is no use; the text is for people."""


@dataclass
class Deaths:
    """How often something died lately, and how long to wait before it is started again."""

    name: str
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=_TOO_MANY_DEATHS))

    def pause(self) -> float:
        """Notes a death; the seconds to wait, doubling with each. Raises KeepsDying at the fifth in a minute."""
        now = time.monotonic()
        self._times.append(now)
        recent = sum(1 for when in self._times if now - when < _DEATHS_WINDOW)
        if recent >= _TOO_MANY_DEATHS:
            raise KeepsDying(f"{self.name} ended {recent} times within a minute; the lines above say why.")
        return min(_FIRST_PAUSE * 2.0 ** (recent - 1), _LONGEST_PAUSE)


class Program:
    """A program that should always run."""

    def __init__(
        self, name: str, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], inherits: Sequence[int]
    ) -> None:
        """Nothing is started yet; the parameters are those of Child."""
        self.name = name
        self._command, self._cwd, self._environment, self._inherits = command, cwd, environment, inherits
        self._deaths = Deaths(name)
        self._start_at: float | None = None
        self._lines = Lines()
        self.child: Child | None = None

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.child is not None and self.child.alive

    def start(self) -> None:
        """Starts the process; its output waits to be read."""
        self._start_at = None
        self._lines = Lines()
        if self.child and self.child.process.stdout:
            self.child.process.stdout.close()
        self.child = Child(self._command, cwd=self._cwd, environment=self._environment, inherits=self._inherits)
        assert self.child.process.stdout is not None
        os.set_blocking(self.child.process.stdout.fileno(), False)

    @property
    def output(self) -> IO[bytes] | None:
        """What it prints, while it may print more."""
        output = self.child.process.stdout if self.child else None
        return None if output is None or output.closed else output

    def read(self) -> list[str]:
        """The whole lines it has printed since the last call."""
        output = self.output
        if output is None:
            return []
        try:
            data = os.read(output.fileno(), 65536)
        except BlockingIOError:
            return []
        if not data:
            output.close()
            return self._lines.end()
        return self._lines.add(data)

    def revive(self) -> str:
        """Starts it again in time when it has died; what to tell the reader, or nothing. Raises KeepsDying."""
        if self.running:
            return ""
        if self._start_at is None:
            pause = self._deaths.pause()
            self._start_at = time.monotonic() + pause
            return f"{_ending(self.child)}; starting again in {pause:g} s"
        if time.monotonic() >= self._start_at:
            self.start()
        return ""


def _ending(child: Child | None) -> str:
    status = child.process.returncode if child else None
    if status is None:
        return "not running"
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"

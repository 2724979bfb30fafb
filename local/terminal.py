"""The one terminal of `make run`: whole lines of many programs, each with its name in front."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TextIO

_COLOURS = {"api": 36, "worker": 32, "beat": 35, "migrate": 33, "postgres": 34, "valkey": 31, "paperplane": 1}
_WIDTH = max(len(name) for name in _COLOURS)
_LONGEST_LINE = 64 * 1024


class Terminal:
    """Writes lines with coloured names; plain where the output is no terminal or NO_COLOR is set."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._coloured = output.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        # A log line may hold what the terminal's encoding lacks; that must not end the run.
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="replace")

    def line(self, name: str, text: str) -> None:
        """Writes one line of the named program."""
        prefix = f"{name:>{_WIDTH}} |"
        if self._coloured:
            prefix = f"\x1b[{_COLOURS.get(name, 0)}m{prefix}\x1b[0m"
        self.plain(f"{prefix} {text}")

    def plain(self, text: str) -> None:
        """Writes text without a name. A terminal that is gone is no reason to stop in disorder."""
        try:
            self._output.write(text + "\n")
            self._output.flush()
        except (BrokenPipeError, OSError):
            self._output = Path(os.devnull).open("w")  # noqa: SIM115 - for the rest of the run


class Lines:
    """Cuts bytes that come in pieces into whole lines of text."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> list[str]:
        """The lines that the new bytes complete; a line without end is cut, so that memory stays bounded."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def end(self) -> list[str]:
        """What came after the last line's end."""
        return [line for line in self.add(b"\n") if line]


class FollowedLog:
    """What is worth reading of a server's growing log file: warnings and worse, not what clients were told anyway."""

    def __init__(self, path: Path, pattern: re.Pattern[str]) -> None:
        self._path, self._pattern = path, pattern
        self._lines = Lines()
        self._position = path.stat().st_size

    def new_lines(self) -> list[str]:
        """The matching lines that were appended since the last call."""
        if self._path.stat().st_size <= self._position:
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += len(data)
        return [line for line in self._lines.add(data) if self._pattern.search(line)]

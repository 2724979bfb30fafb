"""Text messages on the console and in a file, for development: no secret stays one here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar


class ConsoleSms:
    """Prints `SMS to +15550001111: <text>` and appends the same line to a file."""

    name: ClassVar[str] = "console"
    waits: ClassVar[bool] = False

    def __init__(self, log: Path) -> None:
        self._log = log

    def send(self, phone: str, text: str) -> None:
        """Writes the line, whole, whoever else writes at the same time; raises OSError."""
        line = f"SMS to {phone}: {text}\n"
        print(line, end="", flush=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # O_APPEND and a single write: lines of several processes never mix.
        file = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

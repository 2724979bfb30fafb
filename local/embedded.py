"""The embedded servers that `make run` keeps running."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from config import Settings
from local.locks import InUse
from local.program import Deaths
from local.servers import Postgres, ServerError, Valkey
from local.terminal import FollowedLog

# Not the errors of statements: whoever sent them was told. Not Valkey's good-bye either.
_POSTGRES_PATTERN = re.compile(r"\b(WARNING|FATAL|PANIC):  ")
_VALKEY_PATTERN = re.compile(r" # (?!Valkey is now ready to exit)|BUG REPORT|Assertion|Bad file format")


@dataclass
class EmbeddedServer:
    """A server with what its log says and how often it died."""

    name: str
    server: Postgres | Valkey
    pattern: re.Pattern[str]
    _log: FollowedLog | None = None
    _start_at: float | None = None
    _deaths: Deaths = field(init=False)

    def __post_init__(self) -> None:
        self._deaths = Deaths(self.name)

    def start(self) -> None:
        """Starts it. Raises InUse or ServerError."""
        self._start_at = None
        self.server.start()
        self._log = FollowedLog(self.server.log, self.pattern)

    def read(self) -> list[str]:
        """What is new in its log and worth reading."""
        return self._log.new_lines() if self._log else []

    def revive(self) -> str:
        """Starts it again in time when it has died; what to tell the reader, or nothing. Raises KeepsDying."""
        if self.server.alive:
            return ""
        if self._start_at is None:
            pause = self._deaths.pause()
            self._start_at = time.monotonic() + pause
            return f"died; starting again in {pause:g} s"
        if time.monotonic() < self._start_at:
            return ""
        try:
            self.start()
        except (ServerError, InUse) as error:
            return str(error)
        return "runs again"


def needed_servers(settings: Settings) -> list[EmbeddedServer]:
    """The servers that the settings do not name, not started yet. Raises ServerError where a program is missing."""
    servers = []
    if settings.embeds_database:
        postgres = Postgres(settings.data_dir, binaries=settings.postgres_bin_dir)
        servers.append(EmbeddedServer("postgres", postgres, _POSTGRES_PATTERN))
    if settings.embeds_redis:
        servers.append(EmbeddedServer("valkey", Valkey(settings.data_dir), _VALKEY_PATTERN))
    return servers

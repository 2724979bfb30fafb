"""Marks of running processes: one that died between a commit and the telling of it left its mark behind.

Each process that changes things holds a locked file in a folder that its successors see, and removes it once it has
ended in order. The lock ends with the process, however that ends, so a file that can be locked is of a dead one: who
finds it has every hub tell its clients to sync, since nobody knows what the dead process still had to say.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import structlog

from app.infra.redis_writer import RESYNC_CHANNEL, writer
from config import settings

log = structlog.get_logger(__name__)

_SUFFIX = ".running"


class Mark:
    """This process's mark in a folder, not there before `begin`; nothing is remembered across a fork."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: tuple[Path, BinaryIO] | None = None

    def begin(self) -> int:
        """Leaves the mark, and takes away those of dead processes; gives how many there were.

        Where two look at once, one of them finds a mark. Own first: who dies before it has told leaves one more.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        file = path.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Seen only when it is locked: nobody takes it for that of a dead process.
        self._held = path.rename(path.with_suffix(_SUFFIX)), file
        return sum(_take(other) for other in self._folder.glob(f"*{_SUFFIX}"))

    def end(self) -> None:
        """Takes the mark away: nothing was left untold."""
        if self._held is not None:
            path, file = self._held
            self._held = None
            path.unlink(missing_ok=True)
            file.close()

    def leave(self) -> None:
        """Makes `end` do nothing: what the process is doing is cut short."""
        if self._held is not None:
            # The file stays open, and locked, until the process is gone.
            _left.append(self._held[1])
            self._held = None


_left: list[BinaryIO] = []


def _take(path: Path) -> bool:
    """Removes the mark of a process if that is dead; False where it lives, or another was quicker."""
    with suppress(FileNotFoundError, PermissionError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Raises for who was let in only because another has just removed it.
        path.unlink()
        return True
    return False


@lru_cache(maxsize=1)
def _mark() -> Mark:
    return Mark(settings().data_dir / "processes")


def process_begins() -> None:
    """Marks this process as running, and has all clients sync if another one ended badly; call it after the fork.

    A folder that cannot be written costs only this: the process runs on.
    """
    try:
        dead = _mark().begin()
    except OSError as error:
        log.warning("process_not_marked", error=str(error))
        return
    if dead:
        log.warning("processes_died", number=dead)
        writer().submit("PUBLISH", RESYNC_CHANNEL, b"died")


def process_is_cut_short() -> None:
    """Notes that this process does not end in order: what it is doing may be committed and not told."""
    _mark().leave()


def process_ends(seconds: float) -> None:
    """Gives the last events so many seconds to reach Redis; the mark goes only once they have."""
    if writer().flush(seconds):
        _mark().end()

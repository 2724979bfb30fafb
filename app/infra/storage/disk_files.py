"""Files on the disk: reading them in pieces, and making them appear whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import structlog

from app.errors import Unavailable
from app.infra.storage.protocol import PIECE
from app.infra.threads import with_files

log = structlog.get_logger(__name__)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turns what the disk says (full, failing, not writable) into Unavailable, and logs it."""
    try:
        yield
    except OSError as error:
        log.error("storage_failed", error=error.strerror or str(error), file=error.filename)
        raise Unavailable("Files are temporarily unavailable: please try again.", retry_after=5) from error


def write_all(file: IO[bytes], chunk: bytes) -> None:
    """Writes the whole chunk at the present place of a file that has no buffer."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def publish(file: IO[bytes], draft: Path, target: Path) -> None:
    """Makes the open draft the target, so that a loss of power leaves it whole or not at all."""
    os.fsync(file.fileno())
    folder = target.parent
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)
        sync_folder(folder.parent.parent)
    draft.replace(target)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Writes the folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DiskReading:
    """The pieces of an open file."""

    def __init__(self, file: IO[bytes], start: int, stop: int | None) -> None:
        self._file = file
        self._place = start
        self._stop = stop

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._file.closed:
            raise StopIteration
        wanted = PIECE if self._stop is None else min(PIECE, self._stop - self._place)
        if wanted > 0:
            with disk_errors():
                piece: bytes = with_files(lambda: self._file.read(wanted))
            if piece:
                self._place += len(piece)
                return piece
        self.close()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

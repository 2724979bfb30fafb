"""A file without a name, for bytes on their way: memory stays small, and nothing is left when the process dies."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Self

from app.infra.storage.disk_files import disk_errors, write_all
from app.infra.storage.protocol import PIECE
from app.infra.threads import with_files


def gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a write of their own, and no larger than that.

    Where `chunks` raises, what had been gathered comes first.
    """
    waiting = bytearray()
    source = iter(chunks)
    while True:
        try:
            chunk = next(source, None)
        except Exception:
            if waiting:
                yield bytes(waiting)
            raise
        if chunk is None:
            break
        for start in range(0, len(chunk), PIECE):
            waiting += chunk[start : start + PIECE]
            if len(waiting) >= PIECE:
                yield bytes(waiting)
                waiting.clear()
    if waiting:
        yield bytes(waiting)


class Spool:
    """Bytes that are written first and then read, any number of times; a body for botocore."""

    def __init__(self, folder: Path) -> None:
        """Raises Unavailable where the folder cannot be written."""
        self.size = 0
        with disk_errors():
            self._file: IO[bytes] = with_files(lambda: _unnamed(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Adds bytes at the end."""
        with disk_errors():
            with_files(lambda: _write_all(self._file, chunk))
        self.size += len(chunk)

    def clear(self) -> None:
        """Begins anew, empty."""
        with disk_errors():
            with_files(lambda: self._file.truncate(self._file.seek(0)))
        self.size = 0

    def pieces(self, before_each: Callable[[], object]) -> Iterator[bytes]:
        """All that was written, from the beginning."""
        self.seek(0)
        while piece := self.read(PIECE):
            before_each()
            yield piece

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end."""
        return with_files(lambda: self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place in the bytes."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The present place in the bytes."""
        return self._file.tell()


def _write_all(file: IO[bytes], chunk: bytes) -> None:
    file.seek(0, 2)
    write_all(file, chunk)


def _unnamed(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)

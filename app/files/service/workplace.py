"""Where a worker keeps a file while it looks at it: a folder that goes with the work, also where the worker dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.errors import Unavailable
from app.files.queries.processing import Claim
from app.infra.storage import storage
from config import settings

_LEFT_FREE = 100_000_000


class Incomplete(Exception):
    """Storage has more or fewer bytes of the file than its row says."""


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder, removed in the end. Raises Unavailable where the disk cannot be written to.

    Its lock ends with the process: whoever comes next removes the folders of the dead.
    """
    try:
        with _gate() as around:
            folder = Path(tempfile.mkdtemp(dir=around))
            lock = _lock(folder)
    except OSError as error:
        raise Unavailable("Files are temporarily not looked at.", retry_after=5) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def fetch(claim: Claim, folder: Path, room: int) -> Path:
    """The file on this machine's disk: where storage has it, or a copy in the folder.

    `room` is what is needed besides it. Raises NoSuchObject, Incomplete, or Unavailable, also for a disk that is full.
    """
    if shutil.disk_usage(folder).free < claim.size + room + _LEFT_FREE:
        raise Unavailable("There is no room to look at files.", retry_after=60)
    inside = storage().internal_path(claim.key)
    if inside is not None:
        path = settings().uploads / inside
        if storage().size(claim.key) != claim.size:
            raise Incomplete
        return path
    path = folder / "original"
    written = 0
    with storage().read(claim.key) as pieces, path.open("wb") as file:
        for piece in pieces:
            written += len(piece)
            if written > claim.size:
                raise Incomplete
            file.write(piece)
    if written < claim.size:
        raise Incomplete
    return path


def hashed(path: Path) -> bytes:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def remove_abandoned() -> None:
    """Removes the folders that dead processes of this machine have left."""
    with _gate():
        pass


@contextmanager
def _gate() -> Iterator[Path]:
    """The folder around all, without those of the dead; for one at a time: nobody sees one that is not locked yet."""
    around = settings().uploads / "processing"
    around.mkdir(parents=True, exist_ok=True)
    gate = os.open(around, os.O_RDONLY)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        for other in around.iterdir():
            with suppress(FileNotFoundError, BlockingIOError):
                os.close(_lock(other))
                shutil.rmtree(other, ignore_errors=True)
        yield around
    finally:
        os.close(gate)


def _lock(folder: Path) -> int:
    """Raises BlockingIOError where a living process has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

"""Who uses a data folder: exclusive claims that the kernel gives back by itself when their holders die."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

_PAUSE = 0.05


class InUse(Exception):
    """Another live process works on the folder; the text is a sentence for people."""


class Claim:
    """An exclusive claim on one part of a data folder (`postgres`, `valkey`, `launcher`).

    Two files are locked. `NAME.owner` belongs to this process alone, so that it falls free in the moment this process
    dies: whoever finds it locked has found a live owner. `NAME.processes` is inherited by the children (`fileno`), so
    that it stays locked until the last of them is gone: whoever finds only this one locked waits a little.
    """

    def __init__(self, data_dir: Path, name: str, *, patience: float = 15) -> None:
        """Claims at once, or waits up to `patience` seconds for the children of a dead owner.

        Raises InUse where a live owner holds the claim, or where the children outlast the patience.
        """
        folder = data_dir / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        self._owner = _open(folder / f"{name}.owner")
        self.fileno = _open(folder / f"{name}.processes")
        try:
            if not _lock(self._owner):
                number = os.pread(self._owner, 32, 0).decode(errors="replace").strip()
                who = f" (process {number})" if number else ""
                raise InUse(f"Paperplane already runs on {data_dir}{who}; stop it, or set another DATA_DIR.")
            os.ftruncate(self._owner, 0)
            os.pwrite(self._owner, f"{os.getpid()}\n".encode(), 0)
            deadline = time.monotonic() + patience
            while not _lock(self.fileno):
                if time.monotonic() > deadline:
                    raise InUse(f"{name} of an earlier start still runs on {data_dir}; end it, then try again.")
                time.sleep(_PAUSE)
        except InUse:
            self.release()
            raise

    def release(self) -> None:
        """Gives the claim back; children that inherited it go on holding their part."""
        os.close(self.fileno)
        os.close(self._owner)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

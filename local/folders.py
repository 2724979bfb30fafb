"""The folders and log files of the embedded servers."""

from __future__ import annotations

import os
from pathlib import Path

from local.addresses import socket_folder

_LARGEST_LOG = 5_000_000


class ServerError(Exception):
    """A server could not be started; the text is for people."""


def own_socket_folder(data_dir: Path) -> Path:
    """Makes the folder of the sockets, closed to other users.

    Raises ServerError where somebody else owns it: in a shared temporary folder that could be a trap.
    """
    folder = socket_folder(data_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if folder.is_symlink() or not (found.st_uid == os.getuid() or os.getuid() == 0):
        raise ServerError(f"{folder} belongs to another user; remove it, or set another DATA_DIR.")
    folder.chmod(0o700)
    return folder


def log_file(data_dir: Path, name: str) -> Path:
    """The file `DATA_DIR/logs/NAME.log`, ready to be appended to; one that grew large is put aside first."""
    path = data_dir / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return path


def last_lines(path: Path, start: int, count: int = 8) -> str:
    """The last lines that were appended after byte `start`, indented."""
    with path.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-count:])

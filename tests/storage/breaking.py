"""A way to the S3 server that breaks once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_TAKEN = 150_000


@contextmanager
def breaking_once(endpoint: str) -> Iterator[str]:
    """An address that leads to the endpoint; the first connection breaks after 150 kB have been sent on it."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        threading.Thread(target=_serve, args=(door, endpoint), daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        # Wakes the thread that waits for connections.
        door.shutdown(socket.SHUT_RDWR)


def _serve(door: socket.socket, endpoint: str) -> None:
    target = urlsplit(endpoint)
    allowed = _TAKEN
    with suppress(OSError):
        while True:
            near, _ = door.accept()
            far = socket.create_connection((target.hostname or "", target.port or 0))
            threading.Thread(target=_pass_on, args=(near, far, allowed), daemon=True).start()
            threading.Thread(target=_pass_on, args=(far, near, 0), daemon=True).start()
            allowed = 0


def _pass_on(source: socket.socket, target: socket.socket, allowed: int) -> None:
    """Copies until the end, or with `allowed` for so many bytes."""
    passed = 0
    with suppress(OSError), source, target:
        while data := source.recv(65_536):
            passed += len(data)
            if allowed and passed > allowed:
                return
            target.sendall(data)

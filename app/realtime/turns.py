"""Turns for sockets that open: a storm of them must leave PostgreSQL and the process itself to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.lock import BoundedSemaphore

from app.errors import Unavailable

# How long a socket waits for its turn, in seconds: a client waits about as long for its greeting.
_LONGEST_WAIT = 15.0
# As many as ask PostgreSQL together.
_turns = BoundedSemaphore(100)


@contextmanager
def opening_in_turn() -> Iterator[None]:
    """Lets few sockets open at the same time, the others after them; raises Unavailable after 15 s of waiting."""
    if not _turns.acquire(timeout=_LONGEST_WAIT):
        raise Unavailable(retry_after=1)
    try:
        yield
    finally:
        _turns.release()

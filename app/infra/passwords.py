"""Password hashes: Argon2id, in gevent's thread pool where gevent runs, never more at once than processors bear.

A hash takes about 20 ms and 19 MiB: call these with no transaction open.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Unavailable
from app.infra.threads import beside_the_hub

Result = TypeVar("Result")

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# Of a random password that nobody knows: what is checked where there is no account, so that it takes as long.
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$1OwjHLtOUMMv7HjuZU5tPg$QMu6HjkRgXInwHBUoN7/ZR7khbXUrw0cppQzyF17Hj4"
_LONGEST_WAIT = 5.0  # Seconds for a turn.
_turns = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))


def hash_password(password: str) -> str:
    """The hash of a password with its salt and costs; raises Unavailable where too many wait."""
    return _in_turn(lambda: _hasher.hash(password))


def password_matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is the hashed one; None (no such account) takes the same time and is never.

    Raises Unavailable where too many wait.
    """
    matches = _in_turn(lambda: _verified(password_hash or NOBODYS_HASH, password))
    return matches and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other costs than today's, so that it should be made anew."""
    return _hasher.check_needs_rehash(password_hash)


def _verified(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _in_turn(work: Callable[[], Result]) -> Result:
    if not _turns.acquire(timeout=_LONGEST_WAIT):
        raise Unavailable("Too many people sign in just now: please try again.", retry_after=2)
    try:
        return beside_the_hub(work)
    finally:
        _turns.release()

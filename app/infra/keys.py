"""Keys of their own for each purpose, made from the one signing secret."""

from __future__ import annotations

import hmac
from functools import lru_cache

from config import settings


@lru_cache(maxsize=8)
def derived_key(purpose: str) -> bytes:
    """The 32 bytes of key for `purpose`; what one key has signed is nothing to another."""
    return hmac.digest(settings().signing_secret.encode(), f"paperplane:{purpose}".encode(), "sha256")

"""The secret that signs tokens, where nobody has given one; and whether a given one is good enough."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_MINIMUM_BYTES = 32
_MINIMUM_LETTERS = 12


def is_strong(secret: str) -> bool:
    """Whether it is long and uneven enough to be random, and none of those that one is told to change."""
    is_long = len(secret.encode()) >= _MINIMUM_BYTES
    return is_long and len(set(secret)) >= _MINIMUM_LETTERS and "change" not in secret.lower()


def kept_secret(path: Path) -> str:
    """The secret in the file; makes it once, whole or not at all, when two processes start together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()

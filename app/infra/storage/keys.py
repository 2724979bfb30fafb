"""The keys of objects: random, so that nobody guesses one, and never made of a name that somebody gave."""

from __future__ import annotations

import re
import secrets

_SHAPE = re.compile(r"[0-9a-f]{32}")
_BEGINNING = re.compile(r"[0-9a-f]{0,32}")


class BadKey(ValueError):
    """Not a key of ours; whatever it was meant to reach, it is not asked for."""


def new_key() -> str:
    """A key that nobody can guess: 128 random bits, as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def is_key(text: str) -> bool:
    """Whether the text has the shape of a key."""
    return _SHAPE.fullmatch(text) is not None


def checked(key: str) -> str:
    """The key itself; raises BadKey for all that has not its shape."""
    if not is_key(key):
        raise BadKey("not a key of stored objects")
    return key


def checked_beginning(text: str) -> str:
    """The text itself; raises BadKey where no key can begin with it."""
    if _BEGINNING.fullmatch(text) is None:
        raise BadKey("not the beginning of a key of stored objects")
    return text

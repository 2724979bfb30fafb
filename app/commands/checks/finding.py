"""What a check says."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How it is; the sign stands before the line."""

    GOOD = "✓"
    WARNING = "!"
    BROKEN = "✗"


class Finding(NamedTuple):
    """One line: what was looked at, how it is, and what to do where it is not good."""

    level: Level
    subject: str
    text: str
    advice: str = ""


def good(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Level.GOOD, subject, text)


def warning(subject: str, text: str, advice: str) -> Finding:
    """It works, but not as it should."""
    return Finding(Level.WARNING, subject, text, advice)


def broken(subject: str, text: str, advice: str) -> Finding:
    """It does not work, or data is at risk."""
    return Finding(Level.BROKEN, subject, text, advice)

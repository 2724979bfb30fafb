"""The part of a message that shows why it was found."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from app.search.matching import Span
from app.search.schemas import Snippet

LONGEST = 200
"""Characters of a snippet."""
_BEFORE = 40
"""Characters before the first match, about."""
_LONGEST_STEP = 20


def snippet(text: str, spans: Sequence[Span]) -> Snippet:
    """Some of the text around its first match; its beginning where nothing was looked for in it."""
    start = _begin(text, spans[0][0]) if spans else 0
    end = _end(text, start + LONGEST)
    shown = [(max(first, start), min(last, end)) for first, last in spans if first < end]
    return {
        "text": text[start:end],
        "offset": _units(text[:start]),
        "matches": [{"offset": _units(text[start:first]), "length": _units(text[first:last])} for first, last in shown],
    }


def _begin(text: str, match: int) -> int:
    """Some words before a match; at a space, so that no word and no letter with its marks is cut."""
    if match <= _BEFORE:
        return 0
    earliest = match - _BEFORE
    space = text.find(" ", earliest, match)
    return _past_marks(text, earliest) if space < 0 else space + 1


def _end(text: str, end: int) -> int:
    if end >= len(text):
        return len(text)
    space = text.rfind(" ", end - _LONGEST_STEP, end)
    return _past_marks(text, end) if space < 0 else space


def _past_marks(text: str, place: int) -> int:
    """The place, moved on past what belongs to the letter before it."""
    while place < len(text) and unicodedata.category(text[place]) in ("Mn", "Mc", "Me", "Cf", "Sk"):
        place += 1
    return place


def _units(text: str) -> int:
    """The length in UTF-16 code units, which is how JavaScript and Telegram count."""
    return len(text) + sum(character > "\uffff" for character in text)

"""What can be searched in a text: its tokens, each with a position, so that phrases are tokens side by side.

- A **word** is letters, digits and their marks. One with apostrophes or low lines is a word without the former (`dont`,
  `snake_case`), and its parts are found as well, at the same position.
- Scripts without spaces (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) are **pairs** of neighbouring letters,
  one at each letter; the last letter of a run stands alone. So any part of a run is found, by pairs side by side, and a
  single letter by the beginnings of pairs. Korean has spaces, but hangs endings on its words.
- `#hashtags` and `@mentions` are tokens with their sign, and their words without it.
- Emoji and other symbols that are not ASCII are tokens of their own.
- All else separates. So addresses, dates and numbers with points are words side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from itertools import count
from typing import NamedTuple

from app.search.folding import APOSTROPHE, MARKS, Pattern, letters_of

LONGEST_TOKEN = 64
"""Letters of a token; of longer words these are compared."""

_SPACELESS = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    r"\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uf900-\ufaff"
    r"\u1100-\u11ff\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb\U00020000-\U000323af"
    r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u109d\u1780-\u17d3\u17dc\u17dd"
)
_SYMBOLS = letters_of("S") + r"\U0001f000-\U0001faff"
# As they are, not escaped: so the class is never without any.
_FLAG_LETTERS = "\N{REGIONAL INDICATOR SYMBOL LETTER A}-\N{REGIONAL INDICATOR SYMBOL LETTER Z}"
_RUN = Pattern(
    rf"(?P<text>(?:(?<![\w{MARKS}])[#@])?[\w{MARKS}]+(?:{APOSTROPHE}+[\w{MARKS}]+)*)"
    rf"|[{_FLAG_LETTERS}]{{2}}|[{_SYMBOLS}]"
)
_SPACELESS_RUN = re.compile(f"[{_SPACELESS}]+")
_PARTS = re.compile(rf"[^{APOSTROPHE}_]+")
# Where a text has none of these, its tokens are its words.
_OF_OTHER_TOKENS = Pattern(rf"[#@_{APOSTROPHE}{_SPACELESS}{_SYMBOLS}]")
_WORD = Pattern(rf"[\w{MARKS}]+")


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    PART = auto()
    """Of a word with apostrophes or low lines."""
    TAG = auto()
    """A hashtag or a mention; the tokens of what stands behind its sign follow."""
    PAIR = auto()
    LAST = auto()
    """The last letter of a run without spaces."""


class Token(NamedTuple):
    """A token of a folded text, and from where to where it stands in it."""

    lexeme: str
    position: int
    kind: Kind
    start: int
    end: int


def tokens(folded: str) -> Iterator[Token]:
    """The tokens of a folded text, in their order; positions count from 1."""
    position = 1
    for run in _RUN.of(folded).finditer(folded):
        start, end = run.span()
        if run["text"] is None:
            yield Token(run[0], position, Kind.WORD, start, end)
            position += 1
            continue
        if folded[start] in "#@":
            yield Token(_plain(run[0]), position, Kind.TAG, start, end)
            start += 1
        place = start
        for piece in () if folded.isascii() else _SPACELESS_RUN.finditer(folded, start, end):
            if place < piece.start():
                yield from _word(folded, place, piece.start(), position)
                position += 1
            yield from _pairs(folded, *piece.span(), position)
            position += piece.end() - piece.start()
            place = piece.end()
        if place < end:
            yield from _word(folded, place, end, position)
            position += 1


def places(folded: str) -> Iterator[tuple[str, int]]:
    """The lexeme and the position of each token, in their order; for texts of words alone, as most are, much sooner."""
    if _OF_OTHER_TOKENS.of(folded).search(folded):
        return ((token.lexeme, token.position) for token in tokens(folded))
    return zip((word[:LONGEST_TOKEN] for word in _WORD.of(folded).findall(folded)), count(1), strict=False)


def _word(folded: str, start: int, end: int, position: int) -> Iterator[Token]:
    whole = folded[start:end]
    yield Token(_plain(whole), position, Kind.WORD, start, end)
    if APOSTROPHE in whole or "_" in whole:
        for part in _PARTS.finditer(folded, start, end):
            yield Token(part[0][:LONGEST_TOKEN], position, Kind.PART, *part.span())


def _plain(word: str) -> str:
    return word.replace(APOSTROPHE, "")[:LONGEST_TOKEN]


def _pairs(folded: str, start: int, end: int, position: int) -> Iterator[Token]:
    last = end - 1
    for place in range(start, last):
        yield Token(folded[place : place + 2], position + place - start, Kind.PAIR, place, place + 2)
    yield Token(folded[last], position + last - start, Kind.LAST, last, end)

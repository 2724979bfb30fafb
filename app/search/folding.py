"""Text as it is compared in search: without case, accents, and what is written in one way or another.

Compatibility forms become plain ones (NFKC: `ﬁ` is `fi`, full-width letters and half-width kana are the usual ones).
Then, by script:
- Latin, Greek, Cyrillic: no accents; `ß` is `ss`, `æ` is `ae`, `ø` is `o`; all four Turkish i are one.
- Arabic: no short vowels, one alef, yeh, kaf and heh whatever the keyboard, no elongation. Hebrew: no points.
- Scripts of India: no nukta; vowel signs and virama stay, as they are part of what is read. So do those of Thai and
  its neighbours, and the voicing marks of kana.
- Digits of all scripts are ASCII ones. Formatting that is not seen, variants and skin tones are left out.

A text is folded letter by letter with the marks upon it, so that each letter of the result has its place in the text.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from app.auth.names import PLAIN_LETTERS

APOSTROPHE = "'"
_APOSTROPHES = (
    "`\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}"
    "\N{MODIFIER LETTER TURNED COMMA}\N{HEBREW PUNCTUATION GERESH}\N{HEBREW PUNCTUATION GERSHAYIM}"
)
_ONE_FOR_MANY = {
    **PLAIN_LETTERS,
    **dict.fromkeys(_APOSTROPHES, APOSTROPHE),
    "\N{ARABIC LETTER ALEF WASLA}": "\N{ARABIC LETTER ALEF}",
    "\N{ARABIC LETTER ALEF MAKSURA}": "\N{ARABIC LETTER YEH}",
    "\N{ARABIC LETTER FARSI YEH}": "\N{ARABIC LETTER YEH}",
    "\N{ARABIC LETTER TEH MARBUTA}": "\N{ARABIC LETTER HEH}",
    "\N{ARABIC LETTER KEHEH}": "\N{ARABIC LETTER KAF}",
    "\N{ARABIC TATWEEL}": "",
    "\N{FRACTION SLASH}": "/",
}
# Marks that may be left out in writing.
_LEFT_OUT = (
    *((0x300, 0x36F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F)),
    *((0x483, 0x489), (0x591, 0x5BD), (0x5BF, 0x5BF), (0x5C1, 0x5C2), (0x5C4, 0x5C5), (0x5C7, 0x5C7)),
    *((0x610, 0x61A), (0x64B, 0x65F), (0x670, 0x670), (0x6D6, 0x6DC), (0x6DF, 0x6E8), (0x6EA, 0x6ED), (0x8D3, 0x8FF)),
    *((0x711, 0x711), (0x730, 0x74A), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x1F3FB, 0x1F3FF)),
)
_NUKTA = 7
# Taken apart, these would become letters of the word before.
_SIGNS_OF_LETTERS = "™℠℡℻"


class _Letters(dict[int, str | None]):
    """What each letter becomes, found out when it is first met."""

    def __missing__(self, code: int) -> str | None:
        letter = chr(code)
        plain: str | None = letter
        if _is_left_out(code, letter):
            plain = None
        elif unicodedata.category(letter) == "Nd":
            plain = str(unicodedata.decimal(letter))
        self[code] = plain
        return plain


def _is_left_out(code: int, letter: str) -> bool:
    return (
        any(first <= code <= last for first, last in _LEFT_OUT)
        or unicodedata.combining(letter) == _NUKTA
        or unicodedata.category(letter) == "Cf"
    )


def letters_of(*categories: str) -> str:
    """The letters of Unicode categories (`M`, `So`), as the inside of a character class; not of rare old scripts."""
    found = [code for code in range(128, 0x20000) if unicodedata.category(chr(code)).startswith(categories)]
    ranges: list[tuple[int, int]] = []
    for code in found:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


class Pattern:
    """A regular expression, and the same one for texts without letters beyond the basic plane of Unicode.

    Of a class of letters `re` looks those of the basic plane up in a table. It goes through ranges of others one by
    one, for each letter of the text. They are to be written as `\\Uxxxxxxxx-\\Uxxxxxxxx`.
    """

    _BEYOND = re.compile(r"[\U00010000-\U0010ffff]")
    _RANGES_BEYOND = re.compile(r"\\U(?!0000)[0-9a-f]{8}-\\U[0-9a-f]{8}")

    def __init__(self, source: str, flags: int = 0) -> None:
        """Raises re.error where only such ranges are in a class."""
        self._for_all = re.compile(source, flags)
        self._for_basic = re.compile(self._RANGES_BEYOND.sub("", source), flags)

    def of(self, text: str) -> re.Pattern[str]:
        """The expression for a text."""
        return self._for_basic if text.isascii() or not self._BEYOND.search(text) else self._for_all


MARKS = letters_of("M")
_UPON = MARKS + r"\U0001f3fb-\U0001f3ff"
_LETTERS = _Letters({ord(letter): plain for letter, plain in _ONE_FOR_MANY.items()})
_MOST_MARKS = 16
_MOST_PARTS = 3
LONGEST_CLUSTER = 3 * _MOST_PARTS + _MOST_MARKS
"""Characters that are folded together, at most; further marks are folded as if they stood alone."""
# A letter with its marks, or the parts of a Korean syllable that were typed one by one. Not any number of either: to
# bring marks into their order takes the square of it, and what is folded is remembered.
_CLUSTER = Pattern(
    rf"(?:[\u1100-\u115f\ua960-\ua97c]{{1,{_MOST_PARTS}}}[\u1160-\u11a7\ud7b0-\ud7c6]{{1,{_MOST_PARTS}}}"
    rf"[\u11a8-\u11ff\ud7cb-\ud7fb]{{0,{_MOST_PARTS}}}|.)[{_UPON}]{{0,{_MOST_MARKS}}}",
    re.DOTALL,
)
_JOINED = Pattern(rf"[\u1160-\u11ff\ud7b0-\ud7fb{_UPON}]")
_TYPED_GERSHAYIM = re.compile(r'(?<=[\u05d0-\u05ea])"(?=[\u05d0-\u05ea])')


class Folded(NamedTuple):
    """A folded text, and for each letter of it from where to where it stands in the text; None: at the same place."""

    text: str
    starts: list[int] | None
    ends: list[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the folded text, which is not empty, stands in the text itself."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def fold(text: str) -> str:
    """The folded text."""
    if text.isascii():
        return text.lower().replace("`", APOSTROPHE)
    clusters = _CLUSTER.of(text).findall(text) if _JOINED.of(text).search(text) else text
    return _hebrew_acronyms("".join(map(_folded_cluster, clusters)))


def fold_with_places(text: str) -> Folded:
    """The folded text, and where in the text its letters come from."""
    if text.isascii():
        return Folded(fold(text), None, None)
    if not _JOINED.of(text).search(text):
        parts = list(map(_folded_cluster, text))
        if set(map(len, parts)) == {1}:
            return Folded(_hebrew_acronyms("".join(parts)), None, None)
    parts = []
    starts: list[int] = []
    ends: list[int] = []
    for cluster in _CLUSTER.of(text).finditer(text):
        plain = _folded_cluster(cluster[0])
        parts.append(plain)
        starts += [cluster.start()] * len(plain)
        ends += [cluster.end()] * len(plain)
    return Folded(_hebrew_acronyms("".join(parts)), starts, ends)


def _hebrew_acronyms(folded: str) -> str:
    """Between Hebrew letters a quotation mark stands for gershayim, which most keyboards lack."""
    return _TYPED_GERSHAYIM.sub(APOSTROPHE, folded) if '"' in folded else folded


@lru_cache(maxsize=32_768)
def _folded_cluster(cluster: str) -> str:
    if cluster in _SIGNS_OF_LETTERS:
        return " "
    lowered = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", cluster).casefold())
    return sys.intern(unicodedata.normalize("NFC", lowered.translate(_LETTERS)))

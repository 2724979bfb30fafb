"""Names as they are looked for and sorted: without case, accents and punctuation, word by word."""

from __future__ import annotations

import unicodedata
from itertools import groupby

_LONGEST_WORD = 64
PLAIN_LETTERS = {
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "ŧ": "t",
    "þ": "th",
}
"""Small letters that Unicode does not take apart, and how who has no such key writes them."""
# And what stands inside words.
_PLAIN = str.maketrans(
    PLAIN_LETTERS
    | dict.fromkeys("'`\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\N{VARIATION SELECTOR-16}", "")
)


def folded(text: str) -> str:
    """The text without case, accents and apostrophes: `Łucja O'Neill-Ångström` becomes `lucja oneill-angstrom`."""
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return plain.casefold().translate(_PLAIN)


def words(*texts: str | None) -> list[str]:
    """The words of texts, folded, each once and at most 64 characters of it; signs alone (emoji) are words too."""
    found: list[str] = []
    for part in folded(" ".join(text for text in texts if text)).split():
        found += ["".join(run) for is_word, run in groupby(part, _is_of_word) if is_word] or [part]
    return list(dict.fromkeys(word[:_LONGEST_WORD] for word in found))


def _is_of_word(letter: str) -> bool:
    """Whether it is a letter, a number, a vowel sign, or what usernames may have."""
    return unicodedata.category(letter)[0] in "LNM" or letter == "_"

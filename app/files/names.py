"""Names of files: as they are kept and shown, and as a browser is told to save them under.

A name says nothing of where a file lies in storage or what it is.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

# Bytes in UTF-8: what file systems take. In a header, and once more in a signed link, each may become five.
_LONGEST = 255
# Characters that are looked at, and of an ending: to put marks into their order takes the square of their number.
_MOST_GIVEN = 1000
_LONGEST_ENDING = 20
# Marks that turn the direction of what follows: `photo_[RLO]gpj.exe` looks like `photo_exe.jpg`.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
# A slash comes of characters that only look like one.
_NOT_QUOTABLE = str.maketrans({'"': "_", "\\": "_", "%": "_", "/": "_"})
# RFC 5987, attr-char.
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"


def clean_name(given: str) -> str:
    """What is kept of a name: its last part, without what cannot be seen or turns the direction.

    At most 255 bytes in UTF-8, of which the ending (`.jpg`) is kept; `file` where nothing is left.
    """
    last = given.replace("\\", "/").rpartition("/")[2]
    if len(last) > _MOST_GIVEN:
        last = last[: _MOST_GIVEN - _LONGEST_ENDING] + last[-_LONGEST_ENDING:]
    seen = "".join(each for each in last if unicodedata.category(each) not in _UNSEEN and each not in _TURNING)
    name = unicodedata.normalize("NFC", seen).strip()
    if not name.strip(". "):
        return "file"
    if len(name.encode()) > _LONGEST:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending.encode()) <= _LONGEST_ENDING else ""
        name = _beginning(name, _LONGEST - len(ending.encode())) + ending
    return name


def _beginning(name: str, most: int) -> str:
    """As many whole characters as fit into so many bytes."""
    return name.encode()[:most].decode(errors="ignore")


def disposition(name: str, is_inline: bool) -> str:
    """The header Content-Disposition (RFC 6266): the name in ASCII for old clients, and in any script (RFC 8187)."""
    kind = "inline" if is_inline else "attachment"
    ascii_name = "".join(each if " " <= each <= "~" else "_" for each in unicodedata.normalize("NFKD", name))
    plain = ascii_name.translate(_NOT_QUOTABLE)[:_LONGEST]  # One character may come apart into eighteen.
    if plain == name:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"

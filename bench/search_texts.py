"""Messages for the benchmark of search: words as common as words are (Zipf), some Chinese, and some needles."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate, product

WORDS = 50_000
RARE_SENDER = 5_000
"""One message of so many is by the quiet member of its chat."""

_CHINESE_SHARE = 20
_CHINESE = [chr(code) for code in range(0x4E00, 0x4E00 + 2_000)]
_NEEDLE_SHARE = 100_000
# Word number 40 of what people spoke of at first, and then no more.
_OLD_SHARE, _OLD_WORD = 0.05, "yesteryear"


def vocabulary() -> list[str]:
    """So many words that can be said, the commonest first; the same at every call."""
    syllables = [a + b for a, b in product("bdfgklmnprstvz", "aeiou")]
    words = [*syllables, *("".join(pair) for pair in product(syllables, repeat=2))]
    words += ["".join(three) for three in product(syllables[:40], repeat=3)]
    random.Random(1).shuffle(words)
    return words[:WORDS]


def texts(first: int, count: int, total: int) -> Iterator[str]:
    """The texts of messages number `first` and on, of `total`; the same at every call."""
    choice = random.Random(first)
    words = vocabulary()
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(words))))
    chinese = list(accumulate(1 / (rank + 2.7) for rank in range(len(_CHINESE))))
    for number in range(first, first + count):
        if number % _CHINESE_SHARE == 0:
            yield "".join(choice.choices(_CHINESE, cum_weights=chinese, k=choice.randint(6, 24)))
            continue
        said = choice.choices(words, cum_weights=weights, k=choice.randint(3, 17))
        if number % _NEEDLE_SHARE == 77:
            said.append(f"needle{number // _NEEDLE_SHARE}")
        if number < total * _OLD_SHARE and number % 10 == 3:
            said.append(_OLD_WORD)
        yield " ".join(said)


def chinese_pair(rank: int) -> str:
    """Two neighbouring letters; the less common, the greater `rank`."""
    return _CHINESE[rank] + _CHINESE[rank + 1]


OLD_WORD = _OLD_WORD

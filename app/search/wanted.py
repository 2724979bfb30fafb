"""What somebody looks for: words, "phrases" and `from:username`, read from what was typed.

All terms must be found. What stands together without spaces must be found together: `example.com`, `2024-01-15`. The
last word, unless it is in a phrase, may be the beginning of one; hashtags and mentions likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.search.folding import fold
from app.search.tokens import Kind, Token, tokens

MOST_TOKENS = 16
"""Tokens that are looked for; further ones are ignored, so who pastes a long sentence finds it by how it begins."""

_PIECE = re.compile(
    r'(?<!\S)from:(?P<sender>\S+)|(?<!\S)["“„«](?P<phrase>[^"“”„«»]*)["“”»](?!\S)|(?P<chunk>\S+)', re.IGNORECASE
)


class Sought(NamedTuple):
    """A token that must be there, or with `is_beginning` one that begins so; `distance` from the one before it."""

    lexeme: str
    is_beginning: bool
    distance: int


class Wanted(NamedTuple):
    """What a message must have: all terms, each being tokens in their distances."""

    terms: Sequence[Sequence[Sought]] = ()
    sender_id: int | None = None
    message_type: str | None = None


class Typed(NamedTuple):
    """What was typed: its terms, and whose messages it asks for."""

    terms: list[list[Sought]]
    sender_names: list[str]
    """Usernames after `from:`, or `me`; without `@`."""


def read(typed: str) -> Typed:
    """What the text asks for."""
    terms: list[list[Sought]] = []
    names: list[str] = []
    left = MOST_TOKENS
    for piece in _PIECE.finditer(typed):
        if piece["sender"] is not None:
            names.append(piece["sender"].removeprefix("@"))
            continue
        is_last = piece["chunk"] is not None and not _PIECE.search(typed, piece.end())
        term = list(_sought(piece["phrase"] or piece["chunk"] or "", is_last))[:left]
        # Saying it twice asks for nothing more.
        if term and term not in terms:
            terms.append(term)
            left -= len(term)
    return Typed(terms, names)


def _sought(text: str, is_last: bool) -> Iterator[Sought]:
    """The tokens of one term."""
    found = list(_needed(tokens(fold(text))))
    place = found[0].position if found else 0
    for number, token in enumerate(found, 1):
        # A letter that stands alone in a run begins the pairs of longer runs.
        is_beginning = token.kind is Kind.LAST or (is_last and number == len(found) and token.kind is not Kind.PAIR)
        yield Sought(token.lexeme, is_beginning, token.position - place)
        place = token.position


def _needed(found: Iterator[Token]) -> Iterator[Token]:
    """Without what follows from other tokens: parts of words, words of tags, the second letters of last pairs."""
    tag_end = pair_end = 0
    for token in found:
        if token.kind is Kind.PART or token.start < tag_end or (token.kind is Kind.LAST and token.end == pair_end):
            continue
        if token.kind is Kind.TAG:
            tag_end = token.end
        elif token.kind is Kind.PAIR:
            pair_end = token.end
        yield token

"""Whether a text has what is wanted, and where.

A question may have many terms, and a text thousands of places for each, so the places of a term are those that are
left of its tokens' places: nothing is looked at once for each term and place. Words are found by their beginnings in a
sorted list, so a term costs what it finds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from app.search.folding import Folded, fold_with_places
from app.search.tokens import Kind, Token, tokens
from app.search.wanted import Sought

Span = tuple[int, int]
"""From where to where in a text, in Python's characters; the end is left out."""


def find(terms: Sequence[Sequence[Sought]], text: str, reach: int) -> list[Span] | None:
    """Where the terms stand in the text, in order and apart; None where one is missing.

    Of what begins more than `reach` characters after the first of them nothing need be told.
    """
    folded = fold_with_places(text)
    found = _Found(terms, folded)
    places: list[set[int]] = []
    for term in terms:
        places.append(found.places_of(term))
        if not places[-1]:
            return None
    nearest = [min(begun) for begun in places]
    spans = [span for term, place in zip(terms, nearest, strict=True) for span in found.spans_at(term, place, folded)]
    last = min(spans)[0] + reach if spans else 0
    for term, begun in zip(terms, places, strict=True):
        for place in sorted(begun)[1:]:
            there = found.spans_at(term, place, folded)
            if there[0][0] > last:
                break
            spans += there
    return _apart(spans)


class _Found:
    """Those tokens of a text that are looked for."""

    def __init__(self, terms: Sequence[Sequence[Sought]], folded: Folded) -> None:
        whole = {sought.lexeme for term in terms for sought in term if not sought.is_beginning}
        beginnings = tuple({sought.lexeme for term in terms for sought in term if sought.is_beginning})
        self._at: dict[int, list[Token]] = {}
        self._places: dict[str, set[int]] = {}
        self._begun: dict[str, set[int]] = {}
        for token in tokens(folded.text):
            if token.lexeme in whole or token.lexeme.startswith(beginnings):
                self._at.setdefault(token.position, []).append(token)
                self._places.setdefault(token.lexeme, set()).add(token.position)
        self._sorted = sorted(self._places) if beginnings else []

    def places_of(self, term: Sequence[Sought]) -> set[int]:
        """The positions at which a term begins."""
        left: set[int] | None = None
        distance = 0
        for sought in term:
            distance += sought.distance
            places = self._of(sought)
            begun = {place - distance for place in places} if distance else places
            left = begun if left is None else left & begun
            if not left:
                break
        return left or set()

    def _of(self, sought: Sought) -> set[int]:
        if not sought.is_beginning:
            return self._places.get(sought.lexeme, set())
        begun = self._begun.get(sought.lexeme)
        if begun is None:
            begun = self._begun[sought.lexeme] = set().union(*self._beginning_with(sought.lexeme))
        return begun

    def _beginning_with(self, beginning: str) -> Iterator[set[int]]:
        for number in range(bisect_left(self._sorted, beginning), len(self._sorted)):
            lexeme = self._sorted[number]
            if not lexeme.startswith(beginning):
                return
            yield self._places[lexeme]

    def spans_at(self, term: Sequence[Sought], place: int, folded: Folded) -> list[Span]:
        """Where the tokens of a term stand that begins at a position."""
        spans: list[Span] = []
        for sought in term:
            place += sought.distance
            fitting = [token for token in self._at[place] if _fits(token, sought)]
            # Of a word and its parts the longest is what was meant; of a pair asked for by its first letter, that.
            token = max(fitting, key=lambda token: token.end - token.start)
            end = token.start + 1 if token.kind is Kind.PAIR and sought.is_beginning else token.end
            spans.append(folded.span(token.start, end))
        return spans


def _fits(token: Token, sought: Sought) -> bool:
    return token.lexeme.startswith(sought.lexeme) if sought.is_beginning else token.lexeme == sought.lexeme


def _apart(spans: list[Span]) -> list[Span]:
    """In order, with those put together that touch."""
    apart: list[Span] = []
    for start, end in sorted(spans):
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart

"""The index in PostgreSQL: newest first over many chats, each read only as far as the answer needs.

What is common is found among the newest messages, by walking; what is rare by its words. Nobody knows beforehand which
of the two it is, so the newest messages of all chats together are walked first, for as long as what was seen of them
promises to fill the page sooner than the index by words would. See decisions 0021 and 0032.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.infra.db import UnitOfWork
from app.search import index_queries as queries
from app.search import lexemes
from app.search.index import Document, Part, Range, Scope
from app.search.looking import FIRST_STEP_ALONE, Chat, Seen
from app.search.wanted import Wanted

# So many chats are walked at once at most, those that were written to last, and at first fewer.
_MOST_WALKERS = 100
_FIRST_WALKERS = 16
# Messages to walk before anything is concluded from them.
_LEAST_WALK = 1_000


class PostgresIndex:
    """The SearchIndex that is shipped."""

    def store(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        """See SearchIndex."""
        if documents:
            queries.store(unit, documents, [lexemes.vector(document) for document in documents])

    def remove(self, unit: UnitOfWork, chat_id: int, message_ids: Sequence[int]) -> None:
        """See SearchIndex."""
        if message_ids:
            queries.remove(unit, chat_id, message_ids)

    def keep_only(self, unit: UnitOfWork, part: Part, message_ids: Sequence[int]) -> None:
        """See SearchIndex."""
        queries.keep_only(unit, part, message_ids)

    def newest(
        self, unit: UnitOfWork, scopes: Sequence[Scope], wanted: Wanted, within: Range, page: int
    ) -> Iterator[list[int]]:
        """See SearchIndex."""
        chats = [Chat.at(head) for head in queries.heads(unit, scopes, within)]
        search = _Search(unit, wanted, within.after, page)
        return search.run(chats)


class _Search:
    """One search on its way."""

    def __init__(self, unit: UnitOfWork, wanted: Wanted, after: int, page: int) -> None:
        self._unit = unit
        self._wanted = wanted
        self._after = after
        self._page = page
        self._found: set[int] = set()
        self._certain = 0
        self._seen = Seen()
        self._is_walking = True
        self._has_beginning = lexemes.has_beginning(wanted)

    def run(self, chats: Sequence[Chat]) -> Iterator[list[int]]:
        """What fits, newest first: all that is newer than whatever was not looked at yet is certain."""
        left = [chat for chat in chats if chat.is_open]
        newest = bound = max((chat.before for chat in left), default=0)
        if len(left) == 1:
            left[0].step = FIRST_STEP_ALONE
        shelves = 1
        while left:
            self._is_walking = self._is_walking and self._walks_on(left)
            if self._is_walking:
                self._walk(_walkers(left, newest - bound))
            else:
                self._look_up(left, shelves)
                shelves *= 2
            left = [chat for chat in left if chat.is_open]
            bound = max((chat.before for chat in left), default=0)
            certain = sorted((message_id for message_id in self._found if message_id >= bound), reverse=True)
            if certain:
                self._found.difference_update(certain)
                self._certain += len(certain)
                yield certain

    def _walks_on(self, left: Sequence[Chat]) -> bool:
        if self._seen.walked < _LEAST_WALK:
            return True
        # Whoever asks for more than a page asks for another one.
        missing = self._page - (self._certain + len(self._found)) % self._page
        words = sum(len(term) for term in self._wanted.terms)
        return self._seen.is_walking_cheaper(missing, left, words, self._has_beginning)

    def _walk(self, chats: Sequence[Chat]) -> None:
        """Looks at the next messages of chats, one by one."""
        least_seqs = [chat.least_seq(chat.shelf) for chat in chats]
        stretches = [
            queries.Stretch(
                chat.chat_id,
                chat.before,
                least_seq,
                lexemes.question(self._wanted, chat.chat_id, chat.shelf),
                lexemes.words(self._wanted, chat.chat_id, chat.shelf),
                lexemes.beginning(self._wanted, chat.chat_id, chat.shelf),
                lexemes.rest(self._wanted, chat.chat_id, chat.shelf),
            )
            for chat, least_seq in zip(chats, least_seqs, strict=True)
        ]
        found = queries.walk(self._unit, stretches, [chat.step for chat in chats], self._after)
        for chat, least_seq, walked in zip(chats, least_seqs, found, strict=True):
            self._found.update(walked.found)
            chat.note_walked(walked, least_seq)
        self._seen.note(found, stretches[0])
        # A round that saw nothing new must not be the first of many.
        self._seen.walked += 1

    def _look_up(self, chats: Sequence[Chat], shelves: int) -> None:
        """Asks the index by words for the next shelves of all chats."""
        asked = [(chat, shelf) for chat in chats for shelf in chat.next_shelves(shelves)]
        leaves_out = self._has_beginning and self._seen.leaves_beginning_out
        hits: list[list[queries.Hit]] = [[] for _ in asked]
        for hit in queries.look_up(
            self._unit, [self._asked(chat, shelf, leaves_out) for chat, shelf in asked], self._after, self._page
        ):
            hits[hit.number - 1].append(hit)
        full: set[int] = set()
        for (chat, shelf), found in zip(asked, hits, strict=True):
            if chat.chat_id not in full:
                self._found.update(hit.message_id for hit in found)
                chat.note_found(found, self._page, chat.least_seq(shelf))
                if len(found) == self._page:
                    full.add(chat.chat_id)

    def _asked(self, chat: Chat, shelf: int, leaves_out: bool) -> queries.Asked:
        whole = lexemes.question(self._wanted, chat.chat_id, shelf)
        rest = lexemes.rest(self._wanted, chat.chat_id, shelf) if leaves_out else None
        return queries.Asked(chat.before, chat.least_seq(shelf), whole, rest or whole)


def _walkers(chats: Sequence[Chat], walked: int) -> list[Chat]:
    """The chats that hold the answer up: walking them looks at about twice the time that was looked at before.

    `walked` is that time, as a difference of ids.
    """
    latest = sorted(chats, key=lambda chat: chat.before, reverse=True)[:_MOST_WALKERS]
    if not walked:
        return latest[:_FIRST_WALKERS]
    target = latest[0].before - walked
    return [chat for chat in latest if chat.before > target]

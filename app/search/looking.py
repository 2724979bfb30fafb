"""How far a search has looked into chats, and what it has seen: of that follows what is the cheaper way on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from app.search import index_queries as queries
from app.search.lexemes import first_seq, shelf_of

FIRST_STEP = 16
"""Messages of a chat that are walked at first; later twice as many each time."""
FIRST_STEP_ALONE = 512
"""The same for a chat that is searched by itself."""
# What things cost, in messages walked: a shelf to ask about with one word, each further word, a message that the index
# proposes, which is fetched from wherever it lies, and one that is only read in the list of the beginning of a word. As
# measured with `bench.search`.
_SHELF, _WORD, _PROPOSAL, _BEGUN = 20.0, 5.0, 7.0, 1.0
# What was never seen may have been about to come.
_UNSEEN = 0.5


@dataclass(slots=True)
class Chat:
    """How far a chat was looked into: what is left has ids below `before` and seqs up to `top_seq`."""

    chat_id: int
    floor_seq: int
    before: int
    top_seq: int
    step: int = FIRST_STEP
    """How many messages the next walk looks at."""

    @classmethod
    def at(cls, head: queries.Head) -> Chat:
        """A chat that nobody has looked into yet."""
        return cls(head.chat_id, head.floor_seq, head.message_id + 1, head.seq)

    @property
    def is_open(self) -> bool:
        """Whether something is left."""
        return self.top_seq > self.floor_seq

    @property
    def shelf(self) -> int:
        """The shelf where what is left begins."""
        return shelf_of(self.top_seq)

    def least_seq(self, shelf: int) -> int:
        """Where what may be found on a shelf ends."""
        return max(first_seq(shelf), self.floor_seq + 1)

    def next_shelves(self, count: int) -> Iterator[int]:
        """The next shelves on which something may be found, the newest first."""
        for shelf in range(self.shelf, max(self.shelf - count, -1), -1):
            if first_seq(shelf + 1) > self.floor_seq + 1:
                yield shelf

    def note_walked(self, walked: queries.Walked, least_seq: int) -> None:
        """Moves on by what was seen."""
        self.before = walked.least_id or self.before
        if walked.least_seq is not None and walked.least_seq < least_seq:
            # What is past the end of the shelf was not asked about with its own question.
            self.top_seq = least_seq - 1
        elif walked.least_seq is None or walked.seen < self.step:
            self.top_seq = self.floor_seq
        else:
            self.top_seq = walked.least_seq - 1
        self.step *= 2

    def note_found(self, hits: Sequence[queries.Hit], page: int, least_seq: int) -> None:
        """Moves on by what fits on a shelf; where that fills a page there may be more of it on the same shelf."""
        self.before = hits[-1].message_id if hits else self.before
        self.top_seq = hits[-1].seq - 1 if len(hits) == page else least_seq - 1


@dataclass(slots=True)
class Seen:
    """What was seen while walking."""

    walked: int = 0
    """Messages."""
    fitting: int = 0
    """Those that fit the question."""
    proposed: int = 0
    """Those that the index by words would have proposed for it, which knows no places of words."""
    begun: int = 0
    """Those that fit the beginning of a word in the question: the index reads every word that begins so."""
    rest: int = 0
    """Those that the index would have proposed for the rest of the question."""

    def note(self, found: Sequence[queries.Walked], stretch: queries.Stretch) -> None:
        """Adds a round; the stretch is one of those asked about."""
        for walked in found:
            self.walked += walked.seen
            self.fitting += len(walked.found)
            self.proposed += len(walked.found) if stretch.words is None else walked.proposed
            self.begun += walked.begun
            self.rest += walked.rest

    @property
    def leaves_beginning_out(self) -> bool:
        """Whether the index finds faster by the rest of the question, where it has a beginning of a word."""
        return self.rest * _PROPOSAL < self._by_all

    @property
    def _by_all(self) -> float:
        return self.proposed * _PROPOSAL + self.begun * _BEGUN

    def is_walking_cheaper(self, missing: int, chats: Collection[Chat], words: int, has_beginning: bool) -> bool:
        """Whether to walk on, until a page is full that `missing` messages are missing from."""
        walking = missing * self.walked / max(self.fitting, _UNSEEN)
        left = sum(chat.top_seq - chat.least_seq(chat.shelf) + 1 for chat in chats)
        proposing = min(self._by_all, self.rest * _PROPOSAL) if has_beginning else self._by_all
        asking = len(chats) * (_SHELF + _WORD * (words - 1))
        return walking < asking + left * (proposing + _UNSEEN * _PROPOSAL) / self.walked

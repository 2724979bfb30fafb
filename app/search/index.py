"""What an index of messages does, so that another engine can take the place of PostgreSQL.

An index only proposes: whoever asks checks each message again, its text and who may see it. So an index may be behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from app.infra.db import UnitOfWork
from app.search.wanted import Wanted


class Document(NamedTuple):
    """What is searched of a message."""

    message_id: int
    chat_id: int
    seq: int
    sender_id: int | None
    message_type: str
    text: str


def searched_text(text: str | None, file_name: str | None) -> str:
    """What is searched of a message: its text, and on a line of its own the name of its file."""
    return "\n".join(part for part in (text, file_name) if part)


class Scope(NamedTuple):
    """A chat to look into: its messages past `floor_seq`."""

    chat_id: int
    floor_seq: int


class Part(NamedTuple):
    """Messages of a chat with seq in (after_seq, up_to_seq]."""

    chat_id: int
    after_seq: int
    up_to_seq: int


class Range(NamedTuple):
    """Ids of messages in (after, before)."""

    after: int
    before: int


class SearchIndex(Protocol):
    """An index of messages. What a unit of work writes is part of its transaction, or of what follows its commit."""

    def store(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        """Makes messages findable as they are now, those that are known already too."""

    def remove(self, unit: UnitOfWork, chat_id: int, message_ids: Sequence[int]) -> None:
        """Forgets messages of a chat; unknown ones do no harm."""

    def keep_only(self, unit: UnitOfWork, part: Part, message_ids: Sequence[int]) -> None:
        """Forgets all of a part of a chat but these messages."""

    def newest(
        self, unit: UnitOfWork, scopes: Sequence[Scope], wanted: Wanted, within: Range, page: int
    ) -> Iterator[list[int]]:
        """Ids of all messages in the scopes that are likely to have what is wanted, newest first, in some pieces.

        Lazy: what is not asked for is not looked for. `page` is about how many will be asked for.
        """


@lru_cache(maxsize=1)
def search_index() -> SearchIndex:
    """The index of this process."""
    from app.search.postgres_index import PostgresIndex

    return PostgresIndex()

"""Brings chats into the index: their messages, new, edited and deleted ones, and the words of public chats' names.

What is due is read from the rows: a chat is behind while its revision is past the one at which it was indexed. The
revisions of one chat are drawn under the lock of its row, so they are committed in their order, and whoever has seen
one has seen all before it. It is safe to run twice, late, in any order and beside sends: whoever indexes a chat holds
its row of `search_progress`, and moves the mark in the transaction that writes the index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import prometheus_client

from app.auth import names
from app.infra.db import UnitOfWork, unit_of_work
from app.search import indexing_queries as queries
from app.search.index import Document, search_index, searched_text
from app.search.indexing_queries import Change, ChatNow

# Messages that one transaction looks at, all chats together; and of each chat at least so many.
_LARGEST_BATCH = 2_000
_LEAST_OF_CHAT = 20
MOST_BYTES = 200_000
"""Bytes of texts of one transaction, or one text that is longer: whoever wants the same chats waits for it."""
# Characters of one statement, or one text that is longer: while PostgreSQL is at it, whatever people wait for has one
# processor less. See decision 0037.
_MOST_AT_ONCE = 500

indexed_messages = prometheus_client.Counter(
    "paperplane_search_messages_indexed", "Messages that workers wrote to the index of search."
)


def index_all(chat_ids: Collection[int], is_over: Callable[[], bool] = lambda: False) -> list[int]:
    """Indexes what changed in the chats, a batch at least, until it is over; gives the chats that have more."""
    waiting = sorted(set(chat_ids))
    while waiting:
        waiting = _index(waiting)
        if is_over():
            break
    return waiting


def _index(chat_ids: Sequence[int]) -> list[int]:
    """Indexes a batch; gives the chats that have more."""
    most = max(_LEAST_OF_CHAT, _LARGEST_BATCH // len(chat_ids))
    with unit_of_work() as unit:
        unit.relax_durability()
        chats = queries.hold(unit, chat_ids)
        if not chats:
            return []
        _name(unit, chats)
        changes = queries.changes(unit, chats, most, MOST_BYTES)
        read = [change for change in changes if change.is_read]
        write(unit, [change for change in read if change.is_new_content])
        counts = Counter(change.chat_id for change in changes)
        left = {change.chat_id for change in changes if not change.is_read}
        unfinished = [chat_id for chat_id, count in counts.items() if count == most or chat_id in left]
        wholes = {chat.chat_id: chat.revision for chat in chats if chat.chat_id not in unfinished}
        # Of each chat the last one that was read comes last.
        parts = {change.chat_id: change.revision for change in read if change.chat_id in unfinished}
        queries.advance(unit, wholes, parts)
    return unfinished


def _fitting(changes: Sequence[Change], start: int, most: int) -> int:
    """Where the changes end that have so many characters together, counted from `start`; one of them at least."""
    characters = 0
    for place in range(start, len(changes)):
        characters += len(changes[place].text or "") + len(changes[place].file_name or "")
        if characters > most and place > start:
            return place
    return len(changes)


def _name(unit: UnitOfWork, chats: Sequence[ChatNow]) -> None:
    """Makes public chats findable by the names that they have now, and others not."""
    words = [
        (word, chat.chat_id)
        for chat in chats
        if chat.username is not None
        for word in names.words(chat.name, chat.username)
    ]
    queries.name_chats(unit, [chat.chat_id for chat in chats], words)


def write(unit: UnitOfWork, changes: Sequence[Change]) -> None:
    """Makes messages findable as they are, deleted ones not; for chats whose progress is held."""
    start = 0
    while start < len(changes):
        end = _fitting(changes, start, _MOST_AT_ONCE)
        _write(unit, changes[start:end])
        start = end


def _write(unit: UnitOfWork, changes: Iterable[Change]) -> None:
    documents: list[Document] = []
    gone: dict[int, list[int]] = {}
    for change in changes:
        if change.is_deleted:
            gone.setdefault(change.chat_id, []).append(change.message_id)
        elif change.message_type != "service":
            documents.append(Document(*change[:5], searched_text(change.text, change.file_name)))
    index = search_index()
    index.store(unit, documents)
    for chat_id, message_ids in gone.items():
        index.remove(unit, chat_id, message_ids)
    indexed_messages.inc(len(documents))

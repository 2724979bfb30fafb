"""Indexes everything anew, beside what goes on: when texts are taken apart in a new way, or something is amiss.

Up to where each chat has come is in its row of `search_progress`, so a run that was stopped is gone on with by the next
one. All can be searched meanwhile, the old way or the new.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from app.infra.db import reading, unit_of_work
from app.search import indexing, indexing_queries
from app.search import rebuilding_queries as queries
from app.search.index import Part, search_index
from app.search.indexing_queries import Change
from app.search.rebuilding_queries import Left, Place

# Chats and messages of one transaction.
_MOST_CHATS = 100
_MOST_MESSAGES = 2_000
_MARKED_AT_ONCE = 10_000
_LOOKED_AT = 10_000


def left() -> Left:
    """What waits to be indexed anew, because a run has begun and not ended."""
    with unit_of_work() as unit:
        return queries.left(unit)


def begin() -> None:
    """Has every chat that is in the index indexed anew, by `run`."""
    last: int | None = 0
    while last is not None:
        with unit_of_work() as unit:
            last = queries.begin(unit, last, _MARKED_AT_ONCE)


def run() -> Generator[int, None, None]:
    """Indexes anew what waits for it, then what is behind; yields how many messages are done each time."""
    after = 0
    while True:
        with reading() as unit:
            chat_ids = queries.waiting(unit, after, _MOST_CHATS)
        if not chat_ids:
            break
        while (done := _rebuild(chat_ids)) is not None:
            yield done
        after = chat_ids[-1]
    yield from _catch_up()


def _rebuild(chat_ids: Sequence[int]) -> int | None:
    """Indexes the next part of the chats anew; how many messages that were, None where nothing is left."""
    with unit_of_work() as unit:
        unit.relax_durability()
        places = queries.hold(unit, chat_ids)
        if not places:
            return None
        parts = _parts(places)
        messages = queries.messages(unit, parts, indexing.MOST_BYTES)
        found = [message for message in messages if message.is_read]
        if len(found) < len(messages):
            parts = _up_to(parts, messages[len(found)])
        indexing.write(unit, found)
        for part in parts:
            kept = [each.message_id for each in found if each.chat_id == part.chat_id and not each.is_deleted]
            search_index().keep_only(unit, part, kept)
        last = {place.chat_id: place.last_seq for place in places}
        queries.advance(
            unit,
            [part.chat_id for part in parts],
            [None if part.up_to_seq >= last[part.chat_id] else part.up_to_seq for part in parts],
        )
    return len(found)


def _parts(places: Sequence[Place]) -> list[Part]:
    """As much as one transaction does."""
    parts: list[Part] = []
    room = _MOST_MESSAGES
    for place in places:
        if parts and room <= 0:
            break
        end = min(place.last_seq, place.rebuilt_seq + max(room, 1))
        parts.append(Part(place.chat_id, place.rebuilt_seq, end))
        room -= end - place.rebuilt_seq
    return parts


def _up_to(parts: Sequence[Part], next_message: Change) -> list[Part]:
    """Of parts whose messages follow each other in their order, what lies before a message."""
    before: list[Part] = []
    for part in parts:
        if part.chat_id == next_message.chat_id:
            return [*before, part._replace(up_to_seq=next_message.seq - 1)]
        before.append(part)
    return before


def _catch_up() -> Iterator[int]:
    """Chats that are behind, all of them."""
    after: int | None = 0
    while after is not None:
        with reading() as unit:
            found = indexing_queries.behind(unit, after, _LOOKED_AT, 0)
        for chat_id in found.chat_ids:
            indexing.index_all([chat_id])
            yield 0
        after = found.last_chat_id

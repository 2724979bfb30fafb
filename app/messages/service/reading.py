"""Reading: pages of a chat's history, one message, and what hubs have missed."""

from __future__ import annotations

import time
from typing import TypeVar

import orjson

from app.chats.message import COLUMN_COUNT, Message, least_id_at, present, tombstone
from app.errors import NotFound
from app.infra.db import UnitOfWork, reading
from app.messages import events, queries
from app.messages.schemas import HistoryPage, HistoryQuery
from app.messages.service.kept_pages import PageKey, kept_pages
from app.web.input import LARGEST_ID

Shown = TypeVar("Shown", queries.Page, queries.View)

# Where a message's row holds its seq, and its file.
_SEQ, _FILE = 2, COLUMN_COUNT - 1
# Past every seq.
_PAST_ALL = 2**62

# Pages look first at the messages of this time: more parts of the table cost planning and probing.
_RECENT = 60 * 86_400_000 << 12


def find_visible(unit: UnitOfWork, user_id: int, message_id: int) -> tuple[Message, queries.Found]:
    """A message that the person may see, and what else was found of it; raises NotFound for all others."""
    found = queries.find(unit, user_id, message_id)
    message = None if found is None or found.is_hidden else present(found.row)
    if found is None or message is None or message["deleted"]:
        raise NotFound("There is no such message in a chat of yours.")
    return message, found


def find_kept(unit: UnitOfWork, user_id: int, message_id: int) -> Message:
    """A message as sync keeps it for a person: a tombstone where it is deleted, for all or for the person.

    Raises NotFound where it is not in a chat of theirs.
    """
    found = queries.find(unit, user_id, message_id)
    if found is None:
        raise NotFound("There is no such message in a chat of yours.")
    message = present(found.row)
    return tombstone(message) if found.is_hidden else message


def get_message(unit: UnitOfWork, user_id: int, message_id: int) -> Message:
    """One message; raises NotFound where it is deleted, for all or for the person, or not in a chat of theirs."""
    return find_visible(unit, user_id, message_id)[0]


def history(unit: UnitOfWork, user_id: int, chat_id: int, query: HistoryQuery) -> bytes:
    """The JSON of a HistoryPage, newest message first; raises NotFound for who is not in the chat."""
    if query.around is None and query.after is None:
        return _before(unit, user_id, PageKey(chat_id, query.before, query.limit))
    return orjson.dumps(_around(unit, user_id, chat_id, query))


def _before(unit: UnitOfWork, user_id: int, key: PageKey) -> bytes:
    """The newest page, or the one before a message: the one that this process has, if that is of now."""
    pages = kept_pages()
    if key in pages:
        kept = pages.find(key, _member_only(queries.view(unit, user_id, key.chat_id)))
        if kept is not None:
            return kept
    page, is_whole = _older(unit, user_id, key.chat_id, key.before, key.limit + 1)
    # The message itself is after the page, and may be gone like all others after it.
    has_after = page.shows_place
    if key.before is not None and not has_after:
        is_whole = False
        has_after = bool(_newer(unit, user_id, key.chat_id, key.before, 1, shift=-1).rows)
    has_before = len(page.rows) > key.limit
    json = orjson.dumps(_history_page(page.rows[: key.limit], has_before, has_after))
    # Several statements are of several moments. What a file looks like changes without the message.
    if is_whole and all(row[_FILE] is None for row in page.rows):
        pages.keep(key, page.view, page.rows[-1][_SEQ] if has_before else None, json)
    return json


def _around(unit: UnitOfWork, user_id: int, chat_id: int, query: HistoryQuery) -> HistoryPage:
    limit = query.limit
    if query.around is not None:
        # The message itself with as many older as newer ones; both sides read one past their end.
        half = limit // 2
        older, _ = _older(unit, user_id, chat_id, query.around, limit - half + 1, shift=1)
        newer = _newer(unit, user_id, chat_id, query.around, half + 1)
        rows = newer.rows[:half][::-1] + older.rows[: limit - half]
        return _history_page(rows, len(older.rows) > limit - half, len(newer.rows) > half)
    assert query.after is not None
    page = _newer(unit, user_id, chat_id, query.after, limit + 1)
    # The message itself is before the page, and may be gone like all others before it.
    before, _ = _older(unit, user_id, chat_id, query.after, 1, shift=1)
    return _history_page(page.rows[:limit][::-1], bool(before.rows), len(page.rows) > limit)


def _older(
    unit: UnitOfWork, user_id: int, chat_id: int, before_id: int | None, limit: int, shift: int = 0
) -> tuple[queries.Page, bool]:
    """Looks at the recent parts first, and at all only where the chat goes further back than they show.

    Tells as well whether one statement was enough.
    """
    place = queries.Place(before_id, None, shift) if before_id else queries.Place(None, _PAST_ALL)
    least_id = max(0, min(before_id or LARGEST_ID, _newest_id()) - _RECENT)
    page = first = _member_only(queries.older(unit, user_id, chat_id, place, least_id, limit))
    if page.place_seq is None:
        place = queries.Place(None, _first_seq_past(unit, chat_id, (before_id or 0) + shift, page.last_seq))
        page = _member_only(queries.older(unit, user_id, chat_id, place, least_id, limit))
    goes_further_back = min(page.place_seq or 0, page.last_seq + 1) > 1 and (not page.rows or page.rows[-1][_SEQ] > 1)
    if len(page.rows) < limit and least_id > 0 and goes_further_back:
        page = _member_only(queries.older(unit, user_id, chat_id, place, 0, limit))
    return page, page is first


def _newer(unit: UnitOfWork, user_id: int, chat_id: int, after_id: int, limit: int, shift: int = 0) -> queries.Page:
    place = queries.Place(after_id, None, shift)
    page = _member_only(queries.newer(unit, user_id, chat_id, place, limit))
    if page.place_seq is None:
        place = queries.Place(None, _first_seq_past(unit, chat_id, after_id, page.last_seq) - 1)
        page = _member_only(queries.newer(unit, user_id, chat_id, place, limit))
    return page


def _first_seq_past(unit: UnitOfWork, chat_id: int, message_id: int, last_seq: int) -> int:
    """The least seq whose message has an id of at least `message_id`: by halving, for ids not of this chat."""
    low, high = 1, last_seq + 1
    while low < high:
        middle = (low + high) // 2
        if queries.id_at(unit, chat_id, middle) < message_id:
            low = middle + 1
        else:
            high = middle
    return low


def _member_only(found: Shown | None) -> Shown:
    if found is None:
        raise NotFound("There is no such chat, or you are not in it.")
    return found


def _newest_id() -> int:
    """An id past every message of now, by this process's clock; only a hint of which parts to look at."""
    return least_id_at(time.time() + 60)


def _history_page(rows: list[queries.Row], before: bool, after: bool) -> HistoryPage:
    return {"items": [present(row) for row in rows], "has_more_before": before, "has_more_after": after}


def frames_between(chat_id: int, after_seq: int, up_to_seq: int) -> list[tuple[int, bytes]]:
    """A frame for each of a chat's messages with seq in (after_seq, up_to_seq], for hubs that missed them.

    `new_message` with the message as it is now, or `message_deleted` where it is deleted.
    """
    with reading() as unit:
        rows = queries.by_seq(unit, chat_id, after_seq, up_to_seq)
    return [(row[_SEQ], _frame(present(row))) for row in rows]


def _frame(message: Message) -> bytes:
    if message["deleted"]:
        return events.message_deleted_frame(message["chat_id"], [message["id"]], message["revision"])
    return events.new_message_frame(orjson.dumps(message))

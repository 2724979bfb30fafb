"""The rules of search: whoever asks finds what they may see now, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.auth import names
from app.chats.message import Message, least_id_at, present
from app.chats.service import membership
from app.infra.db import UnitOfWork
from app.infra.threads import let_others_run
from app.search import queries
from app.search.index import Range, search_index, searched_text
from app.search.matching import find
from app.search.schemas import ChatSearch, FoundMessage, MessageSearch, PublicChat
from app.search.snippets import LONGEST, snippet
from app.search.wanted import Wanted, read
from app.web.input import LARGEST_ID
from app.web.links import avatar_link
from app.web.pagination import ItemPage, decode_cursor, encode_cursor

# Ids are drawn from the clock a moment after or before the time that a message shows; that is compared exactly. Where
# the clock steps back, ids do not: they are ahead of the times until it has caught up, for an hour where it was set to
# summer time. What fits so soon past `until` is read in vain; a day of it may be more than one page looks at.
_MOST_BEHIND_SECONDS = 60
_MOST_AHEAD_SECONDS = 61 * 60
# What the index proposes is read so much at a time, and so often for one page: of what a person has deleted for
# oneself there may be any number. Then the page is shorter, and the next one goes on.
_LARGEST_LOAD = 100
_MOST_LOADS = 20
# So many characters of texts are looked at for one page, or one text that is longer: taking them apart keeps a process
# from all else it has to do. Then, too, the page is shorter. After so many in a row all else has its turn.
_MOST_CHARACTERS = 50_000
_MOST_IN_A_ROW = 4_000
_MOST_WORDS = 5
_USERNAME = re.compile(r"[a-z0-9_]+")
_BEFORE_ALL = queries.ChatPosition(-1, 0, 0)


def search_messages(unit: UnitOfWork, user_id: int, asked: MessageSearch) -> ItemPage[FoundMessage]:
    """Messages of the caller's chats, or of one of them, that have all that is asked for; newest first.

    Raises NotFound for a chat that the caller is not in, ValidationFailed for a cursor that is not ours.
    """
    before = LARGEST_ID if asked.cursor is None else int(decode_cursor(asked.cursor, int)[0])
    if asked.chat_id is not None:
        membership(unit, asked.chat_id, user_id)
    wanted = _wanted(unit, user_id, asked)
    if wanted is None:
        return {"items": [], "next_cursor": None}
    items: list[FoundMessage] = []
    characters = paused_at = 0
    for loads, message_ids in enumerate(_proposed(unit, user_id, asked, wanted, before), start=1):
        for row in queries.visible(unit, user_id, message_ids, asked.since, asked.until):
            message = present(row)
            text = searched_text(message["text"], message["file"]["name"] if message["file"] else None)
            found = _found(message, text, wanted)
            if found is not None and len(items) == asked.limit:
                return {"items": items, "next_cursor": encode_cursor(items[-1]["message"]["id"])}
            if found is not None:
                items.append(found)
            characters += len(text)
            if characters >= _MOST_CHARACTERS:
                return {"items": items, "next_cursor": encode_cursor(message["id"])}
            if characters - paused_at >= _MOST_IN_A_ROW:
                paused_at = characters
                let_others_run()
        if loads == _MOST_LOADS:
            return {"items": items, "next_cursor": encode_cursor(message_ids[-1])}
    return {"items": items, "next_cursor": None}


def _found(message: Message, text: str, wanted: Wanted) -> FoundMessage | None:
    """The message and its snippet; None where it does not have what is wanted any more, as it was indexed before."""
    if wanted.message_type not in (None, message["message_type"]):
        return None
    spans = find(wanted.terms, text, LONGEST)
    return None if spans is None else {"message": message, "snippet": snippet(text, spans)}


def _wanted(unit: UnitOfWork, user_id: int, asked: MessageSearch) -> Wanted | None:
    """What is asked for; None where nothing can have it."""
    typed = read(asked.q)
    senders = {asked.sender_id} - {None}
    for name in typed.sender_names:
        senders.add(user_id if name.lower() == "me" else queries.user_named(unit, name))
        # A message has one sender.
        if len(senders) > 1 or None in senders:
            return None
    if asked.q and not typed.terms and not typed.sender_names:
        return None
    return Wanted(typed.terms, next(iter(senders), None), asked.message_type)


def _proposed(unit: UnitOfWork, user_id: int, asked: MessageSearch, wanted: Wanted, before: int) -> Iterator[list[int]]:
    """What the index proposes, in pieces that are read at once."""
    after = 0 if asked.since is None else least_id_at(asked.since.timestamp() - _MOST_BEHIND_SECONDS) - 1
    if asked.until is not None:
        before = min(before, least_id_at(asked.until.timestamp() + _MOST_AHEAD_SECONDS))
    scopes = queries.scopes(unit, user_id, asked.chat_id)
    # One more than the page tells whether there is a next one.
    for message_ids in search_index().newest(unit, scopes, wanted, Range(after, before), asked.limit + 1):
        for start in range(0, len(message_ids), _LARGEST_LOAD):
            yield message_ids[start : start + _LARGEST_LOAD]


def search_chats(unit: UnitOfWork, user_id: int, asked: ChatSearch) -> ItemPage[PublicChat]:
    """Public groups and channels of whose name the words are beginnings; after `@` only usernames count.

    Whose username it is exactly comes first, then those with the most members. Raises ValidationFailed for a cursor
    that is not ours.
    """
    after = _BEFORE_ALL
    if asked.cursor is not None:
        rank, members, chat_id = decode_cursor(asked.cursor, int, int, int)
        # Both fit a smaller type than what a cursor may hold.
        after = queries.ChatPosition(min(max(int(rank), -1), 1), min(max(int(members), 0), 2**31 - 1), int(chat_id))
    name = asked.q.removeprefix("@").lower()
    username = name if _USERNAME.fullmatch(name) else None
    words = sorted(names.words(name), key=len, reverse=True)[:_MOST_WORDS]
    found = queries.chats(unit, user_id, words, username, after, asked.limit + 1)
    page = found[: asked.limit]
    last = page[-1] if len(found) > asked.limit else None
    return {
        "items": [_public(row) for row in page],
        "next_cursor": None if last is None else encode_cursor(last.rank, last.member_count, last.id),
    }


def _public(row: queries.ChatRow) -> PublicChat:
    return {
        "id": row.id,
        "type": "group" if row.type == "group" else "channel",
        "name": row.name,
        "username": row.username,
        "description": row.description,
        "avatar_url": avatar_link(row.avatar_file_id),
        "member_count": row.member_count,
        "is_member": row.is_member,
    }

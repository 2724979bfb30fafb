"""Telling members how their chat looks now, each as seen by them."""

from __future__ import annotations

from collections.abc import Collection

from app.chats import events
from app.chats.queries import members, views
from app.chats.service.views import present_chats
from app.infra import jobs, presence
from app.infra.db import UnitOfWork, reading, unit_of_work

# A larger chat is not shown anew to everybody in the request that changes it.
LARGEST_TOLD_AT_ONCE = 200
_BATCH = 1000


def tell(unit: UnitOfWork, chat_id: int, user_ids: Collection[int], joined: Collection[int] = ()) -> None:
    """Shows the chat to those of these members who have it in their list.

    The hubs of those who `joined` begin to hand them its events, also where it is not in the list yet.
    """
    rows = views.of_members(unit, chat_id, sorted(user_ids))
    shown = [
        (row[views.USER_ID], chat, row[views.IS_LISTED]) for row, chat in zip(rows, present_chats(rows), strict=True)
    ]
    events.chat_joined(unit, chat_id, [view for view in shown if view[0] in joined])
    events.chat_updated(
        unit, [(user_id, chat) for user_id, chat, is_listed in shown if is_listed and user_id not in joined]
    )


def tell_of_members(unit: UnitOfWork, chat_id: int, member_count: int, joined: Collection[int] = ()) -> None:
    """Shows a chat whose membership changed: a small one to all, a large one only to who joined."""
    if member_count <= LARGEST_TOLD_AT_ONCE:
        tell(unit, chat_id, members.ids(unit, chat_id, 0, member_count), joined)
    elif joined:
        tell(unit, chat_id, joined, joined)


def tell_all(unit: UnitOfWork, chat_id: int, member_count: int) -> None:
    """Shows the chat to all members; a worker shows a large one, and only to those who are online."""
    if member_count <= LARGEST_TOLD_AT_ONCE:
        tell(unit, chat_id, members.ids(unit, chat_id, 0, member_count))
    else:
        jobs.enqueue(unit, jobs.TELL_MEMBERS, chat_id=chat_id)


def tell_online(chat_id: int) -> int:
    """Shows a large chat to all members who are online, batch by batch in units of its own; how many they are."""
    told = after = 0
    while True:
        with reading() as unit:
            batch = members.ids(unit, chat_id, after, _BATCH)
        online = presence.online(batch)
        if online:
            with unit_of_work() as unit:
                tell(unit, chat_id, online)
        told += len(online)
        if len(batch) < _BATCH:
            return told
        after = batch[-1]

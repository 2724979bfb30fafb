"""Telling members how their chat looks now, each as seen by them."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import cast

from app.chats import events
from app.chats.queries import members, views
from app.chats.service.views import present_chats
from app.infra import jobs, presence, sweeps
from app.infra import redis as redis_connections
from app.infra.db import UnitOfWork, reading, unit_of_work

# A larger chat is not shown anew to everybody in the request that changes it.
LARGEST_TOLD_AT_ONCE = 200
_BATCH = 1000
_NAME = "telling"
# Seconds after which no further chat is begun.
_LONGEST_RUN = 5.0


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
    """Shows the chat to all members; a worker shows a large one, and only to those who have a socket."""
    if member_count <= LARGEST_TOLD_AT_ONCE:
        tell(unit, chat_id, members.ids(unit, chat_id, 0, member_count))
    else:
        unit.after_commit(lambda: jobs.mark_for_telling(chat_id))


def tell_marked() -> None:
    """Shows large chats that were marked to their members, each once however often it has changed.

    One worker at a time, so that the others see to unread counts, and for some seconds: what is left then, or was
    marked while the last one was shown, gets a job behind those of the queue. Raises RedisError, Unavailable.
    """
    alone = True
    try:
        with sweeps.only_one(_NAME) as alone:
            if alone:
                _tell_until(time.monotonic() + _LONGEST_RUN)
    finally:
        # Only now that others may run: who came before left its marks to this one.
        left = _take_marked() if alone else None
        if left is not None:
            jobs.mark_for_telling(left)


def _tell_until(deadline: float) -> None:
    while time.monotonic() < deadline and (chat_id := _take_marked()) is not None:
        tell_connected(chat_id)


def _take_marked() -> int | None:
    taken = cast("bytes | None", redis_connections.client().spop(jobs.DIRTY_TOLD))
    return None if taken is None else int(taken)


def tell_connected(chat_id: int) -> int:
    """Shows a large chat to all members who have a socket, batch by batch in units of its own; how many they are.

    Where Redis does not tell who has one, all clients are to sync once it is back: to tell everybody would push out
    what else waits for that.
    """
    told = after = 0
    while True:
        with reading() as unit:
            batch = members.ids(unit, chat_id, after, _BATCH)
        connected = presence.connected(batch)
        if connected is None:
            with unit_of_work() as unit:
                events.receivers_unknown(unit)
            return told
        if connected:
            with unit_of_work() as unit:
                tell(unit, chat_id, connected)
        told += len(connected)
        if len(batch) < _BATCH:
            return told
        after = batch[-1]

"""What people do most, done by one of a crowd; each as its door calls it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import uuid4

from app.chats import service as chats
from app.chats.schemas import ChatQuery
from app.errors import NotFound
from app.infra.db import reading, unit_of_work
from app.messages import service as messages
from app.messages import unread
from app.messages.queries import Send, send_batch
from app.messages.schemas import HistoryQuery
from app.messages.service.kept_pages import kept_pages
from app.sync import service as sync
from bench import crowd as filling

CHATS = 1_000
LONG = 3_000
CHANGED = 5
"""Chats of the busy person with messages past `Crowd.begun_at`, the long one among them."""


class Crowd(NamedTuple):
    """Who and what is in the database."""

    busy: int
    """Somebody in 1,000 chats of 20 messages each, and in a long one."""
    long: int
    """A group of ten with 3,000 messages."""
    long_writer: int
    """Who wrote these."""
    channel: int
    """100,000 members, 100 messages; the first of `channel_people` owns it."""
    channel_people: list[int]
    large: int
    """10,500 members, 100 messages; the first of `large_people` owns it."""
    large_people: list[int]
    group: int
    """Ten members, 100 messages; the first of `group_people` owns it."""
    group_people: list[int]
    last_page: str | None
    """The cursor of the last page of the busy person's list."""
    begun_at: str | None
    """A cursor of sync, from before the messages in five of the busy person's chats."""

    @classmethod
    def nobody(cls) -> Crowd:
        """Nobody, in a database without anything."""
        return cls(1, 1, 1, 1, [1], 1, [1], 1, [1], None, None)


def fill() -> Crowd:
    """Fills the database."""
    with unit_of_work() as unit:
        filling.begin(unit)
        busy, busy_chats = filling.add_busy_person(unit, CHATS, messages_each=20)
        filling.add_others(unit, 1_000, messages_each=10)
        writers = filling.add_people(unit, 9)
        (long,) = filling.add_chats(unit, "group", [(*writers, busy)])
        filling.add_messages(unit, [long], LONG)
        channel, channel_people = filling.add_large_chat(unit, "channel", 100_000, messages=100)
        large, large_people = filling.add_large_chat(unit, "group", 10_500, messages=100)
        group, group_people = filling.add_large_chat(unit, "group", 10, messages=100)
    with reading() as unit:
        begun_at = sync.current_cursor(unit)
        page = chats.list_chats(unit, busy, ChatQuery(limit=100))
        while page["next_cursor"] is not None:
            last_page = page["next_cursor"]
            page = chats.list_chats(unit, busy, ChatQuery(limit=100, cursor=last_page))
    for chat_id in busy_chats[: CHANGED - 1]:
        send_to(chat_id, _owner(chat_id))
    return Crowd(
        busy, long, writers[0], channel, channel_people, large, large_people, group, group_people, last_page, begun_at
    )


def write_in_the_long_chat(crowd: Crowd) -> None:
    """Leaves a message there that the busy person has not read and no worker has counted."""
    send_to(crowd.long, crowd.long_writer)


def send_to(chat_id: int, sender_id: int) -> None:
    """Stores a message as a send does, without telling anybody."""
    send_batch([Send(chat_id, sender_id, None, str(uuid4()), b"hash", "text", "Hello", None)])


def _owner(chat_id: int) -> int:
    with reading() as unit:
        return int(unit.connection.exec_driver_sql(f"SELECT created_by FROM chats WHERE id = {chat_id}").scalar_one())


def _list(crowd: Crowd) -> None:
    with reading() as unit:
        chats.list_chats(unit, crowd.busy, ChatQuery())


def _list_end(crowd: Crowd) -> None:
    with reading() as unit:
        chats.list_chats(unit, crowd.busy, ChatQuery(cursor=crowd.last_page))


def _list_unread(crowd: Crowd) -> None:
    with reading() as unit:
        chats.list_chats(unit, crowd.busy, ChatQuery(unread=True))


def _snapshot(crowd: Crowd) -> None:
    with reading() as unit:
        sync.changes(unit, crowd.busy, None)


def _sync(crowd: Crowd) -> None:
    with reading() as unit:
        sync.changes(unit, crowd.busy, crowd.begun_at or sync.current_cursor(unit))


def _history(crowd: Crowd) -> None:
    kept_pages.cache_clear()
    with reading() as unit:
        messages.history(unit, crowd.busy, crowd.long, HistoryQuery())


def _history_again(crowd: Crowd) -> None:
    _history(crowd)
    with reading() as unit:
        messages.history(unit, crowd.busy, crowd.long, HistoryQuery())


def _read(crowd: Crowd) -> None:
    with unit_of_work() as unit:
        chats.mark_read(unit, crowd.busy, crowd.long, None)


def _send_to_channel(crowd: Crowd) -> None:
    send_to(crowd.channel, crowd.channel_people[0])


def _send_to_group(crowd: Crowd) -> None:
    send_to(crowd.group, crowd.group_people[0])


def _send_by_busy(crowd: Crowd) -> None:
    send_to(crowd.long, crowd.busy)


def _fan_out(crowd: Crowd) -> None:
    if crowd != Crowd.nobody():
        send_to(crowd.large, crowd.large_people[0])
    unread.fan_out_all([crowd.large])


_DOING: dict[str, Callable[[Crowd], None]] = {
    "list": _list,
    "list, last page": _list_end,
    "list, unread": _list_unread,
    "sync, snapshot": _snapshot,
    "sync": _sync,
    "history": _history,
    "history, again": _history_again,
    "read": _read,
    "send to the channel": _send_to_channel,
    "send to the group": _send_to_group,
    "send by the busy person": _send_by_busy,
    "send and fan out": _fan_out,
}
ACTIONS = tuple(_DOING)


def act(action: str, crowd: Crowd) -> None:
    """Does one of ACTIONS; in an empty database nothing is found."""
    try:
        _DOING[action](crowd)
    except NotFound:
        assert crowd == Crowd.nobody()

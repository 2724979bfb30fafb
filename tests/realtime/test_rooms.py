"""Rooms open once their channels are confirmed, whatever became of those who opened them before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import gevent
import gevent.socket
import pytest

from app.errors import Unavailable
from app.infra.db import UnitOfWork
from app.realtime import queries, rooms
from app.realtime.connection import Connection
from app.realtime.subscription import Subscription

_LONG = 30.0
_CHAT = 7


class _Channels(Subscription):
    """A subscription whose confirmations last as long as the test wants."""

    def __init__(self) -> None:
        self.confirm: Callable[[], None] = lambda: None

    def add(self, channels: Iterable[str]) -> None:
        self.confirm()

    def remove(self, channels: Iterable[str]) -> None:
        """Tells nobody."""


def test_who_gave_up_joining_opens_no_room_whose_channels_are_not_confirmed_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    opened: list[bool] = []

    def room_states(_: UnitOfWork, chat_ids: Sequence[int]) -> dict[int, queries.RoomState]:
        asked.extend(chat_ids)
        if len(asked) == 1:
            raise Unavailable
        return dict.fromkeys(chat_ids, queries.RoomState(members_revision=0, last_seq=len(asked)))

    def is_open() -> bool:
        room = here.get(_CHAT)
        return room is not None and room.delivered_seq is not None

    def confirm() -> None:
        while len(asked) < 2:
            gevent.sleep(0)
        opened.append(is_open())

    monkeypatch.setattr(queries, "room_states", room_states)
    monkeypatch.setattr(rooms, "_PAUSE_AFTER_FAILURE", 0.0)
    channels = _Channels()
    here = rooms.Rooms(
        channels, is_here=lambda _: True, expel=lambda *_: None, tell_to_sync=lambda _: None, resync=lambda: None
    )
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs, gevent.Timeout(_LONG):
        first, second = Connection(ours), Connection(theirs)
        with pytest.raises(Unavailable):
            here.join({_CHAT: 0}, [first])
        here.leave(first, [_CHAT])
        # Tried once more for the first one, while the second one waits for Redis.
        channels.confirm = confirm
        here.join({_CHAT: 0}, [second])
    assert (opened, is_open()) == ([False], True)

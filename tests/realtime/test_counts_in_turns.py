"""Unread counts are told behind all else, and all the same are told."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import gevent
import orjson
import pytest

from app.realtime import counts
from app.realtime.counts import UnreadCounts


class Listener:
    """A socket of which only the frames are known that are written to it."""

    def __init__(self, user_id: int, heard: list[int]) -> None:
        self.user_id = user_id
        self._heard = heard

    def deliver(self, _: bytes) -> None:
        self._heard.append(self.user_id)


@pytest.mark.parametrize("size", [1, 7, 100], ids=["small rooms", "rooms", "a large room"])
def test_counts_of_many_rooms_share_a_turn_and_a_large_room_takes_several(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    heard: list[int] = []
    turns: list[int] = []
    # Each look at the clock takes a tenth of a turn.
    clock = count()
    reading = SimpleNamespace(monotonic=lambda: next(clock) * counts._LONGEST_TURN / 10)
    monkeypatch.setattr(counts, "time", reading)
    monkeypatch.setattr(counts, "give_way", lambda: turns.append(len(heard)))
    unread = UnreadCounts()
    people = list(range(700))
    for start in range(0, len(people), size):
        members = people[start : start + size]
        room: Any = SimpleNamespace(chat_id=start, connections={Listener(each, heard) for each in members})
        unread.take(room, orjson.dumps([[each, 1, 1] for each in members]))
    gevent.idle()
    assert sorted(heard) == people
    told = [after - before for before, after in zip([0, *turns], turns, strict=False)]
    assert set(told) <= {9, 10, 11}

"""The rooms of a hub: opened with their first socket, closed with their last, and subscribed in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import gevent

from app.errors import AppError
from app.infra import bus
from app.infra.db import reading
from app.realtime import queries
from app.realtime.connection import Connection
from app.realtime.opening import room_states
from app.realtime.room import Room
from app.realtime.subscription import Subscription

_CHUNK = 1000
_OPENING_SECONDS = 3.0
_PAUSE_AFTER_FAILURE = 1.0


class Rooms:
    """The chats of which this process has sockets."""

    def __init__(
        self,
        subscription: Subscription,
        is_here: Callable[[Connection], bool],
        expel: Callable[[int, set[int]], None],
        tell_to_sync: Callable[[Iterable[Connection]], None],
        resync: Callable[[], None],
    ) -> None:
        """`is_here` tells whether a connection is still the hub's; for the others see Room."""
        self._rooms: dict[int, Room] = {}
        self._subscription = subscription
        self._is_here = is_here
        self._expel = expel
        self._tell_to_sync = tell_to_sync
        self._resync = resync
        self.get = self._rooms.get

    def join(self, revisions: Mapping[int, int], connections: Iterable[Connection]) -> None:
        """Puts connections into chats; new rooms are subscribed first and then opened.

        `revisions` has for each chat the members_revision under which its members were asked for, 0 where they were
        not: a room asks who is still a member before it delivers what was made under a later one.
        """
        # Who left meanwhile must not leave an empty room behind, which nobody would ever close.
        joining = [connection for connection in connections if self._is_here(connection)]
        if not joining:
            return
        new: dict[int, Room] = {}
        opening = []
        for chat_id, members_revision in revisions.items():
            room = self._rooms.get(chat_id)
            if room is None:
                room = self._rooms[chat_id] = new[chat_id] = self._new_room(chat_id)
            elif room.delivered_seq is None:
                opening.append(room.opened)
            room.admit(joining, members_revision)
            for connection in joining:
                connection.rooms.add(chat_id)
        if new:
            self._subscription.add(
                [channel for chat_id in new for channel in (bus.chat_messages(chat_id), bus.chat_typing(chat_id))]
            )
            try:
                self._open(new)
            except AppError:
                # Others may be waiting in these rooms.
                gevent.spawn_later(_PAUSE_AFTER_FAILURE, self._open_again, new)
                raise
        if opening:
            # Another connection is just opening these rooms; greeted before they are, a client could miss messages.
            gevent.wait(opening, timeout=_OPENING_SECONDS)

    def leave(self, connection: Connection, chat_ids: Iterable[int]) -> None:
        """Takes a connection out of chats; empty rooms are closed."""
        empty = []
        for chat_id in chat_ids:
            connection.rooms.discard(chat_id)
            room = self._rooms.get(chat_id)
            if room is not None:
                room.connections.discard(connection)
                if not room.connections:
                    del self._rooms[chat_id]
                    empty += [bus.chat_messages(chat_id), bus.chat_typing(chat_id)]
        self._subscription.remove(empty)

    def catch_up(self) -> None:
        """Has all rooms deliver what they missed; raises Unavailable without PostgreSQL."""
        chat_ids = list(self._rooms)
        for start in range(0, len(chat_ids), _CHUNK):
            with reading() as unit:
                states = queries.room_states(unit, chat_ids[start : start + _CHUNK])
            for chat_id, state in states.items():
                if (room := self._rooms.get(chat_id)) is not None:
                    room.catch_up(*state)

    def _new_room(self, chat_id: int) -> Room:
        return Room(chat_id, self._expel, self._tell_to_sync, self._resync)

    def _open(self, rooms: Mapping[int, Room]) -> None:
        chat_ids = list(rooms)
        for start in range(0, len(chat_ids), _CHUNK):
            chunk = chat_ids[start : start + _CHUNK]
            states = room_states(chunk)
            for chat_id in chunk:
                room = rooms[chat_id]
                # Not one made since in the place of one that was left: its channels are not confirmed yet.
                if self._rooms.get(chat_id) is room and room.delivered_seq is None and chat_id in states:
                    room.begin(states[chat_id].last_seq)

    def _open_again(self, rooms: Mapping[int, Room]) -> None:
        """Opens rooms of which PostgreSQL could not tell, as soon as it can."""
        try:
            self._open(rooms)
        except AppError:
            gevent.spawn_later(_PAUSE_AFTER_FAILURE, self._open_again, rooms)

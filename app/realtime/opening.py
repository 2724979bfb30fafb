"""What sockets that open ask of PostgreSQL: those that open at the same moment ask together.

After a restart or a break of the network thousands come at once. Each by itself they would ask five times, and leave no
connection to those who are there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from app.calls.service import CallRow, live_calls
from app.infra.combiner import Combiner
from app.infra.db import reading
from app.realtime import queries
from app.realtime.queries import RoomState
from app.sync.service import current_cursor
from app.web.authentication import Caller, require_live_session

_LANES = 2
_LARGEST_BATCH = 100
_PATIENCE = 0.05

Chats = dict[int, int]
"""Chats of a person with the members_revision under which the person was found to be a member."""


def cursor_of_now() -> str:
    """A cursor of sync that leaves out nothing of what is committed later. Raises Unavailable."""
    return _cursors().submit(None)


def chats_of(caller: Caller) -> Chats:
    """The chats whose events a person receives. Raises SessionRevoked, or Unavailable."""
    return _memberships().submit(caller)


def room_states(chat_ids: Sequence[int]) -> dict[int, RoomState]:
    """The states of chats that exist, of these and maybe others. Raises Unavailable."""
    return _room_states().submit(chat_ids)


def live_call(user_id: int) -> CallRow | None:
    """The call that a person is in now, or that rings. Raises Unavailable."""
    return _live_calls().submit(user_id)


@lru_cache(maxsize=1)
def _cursors() -> Combiner[None, str]:
    def read(asked: Sequence[None]) -> list[str]:
        with reading() as unit:
            return [current_cursor(unit)] * len(asked)

    return Combiner(read, _LANES, _LARGEST_BATCH, _PATIENCE)


@lru_cache(maxsize=1)
def _memberships() -> Combiner[Caller, Chats]:
    return Combiner(_read_memberships, _LANES, _LARGEST_BATCH, _PATIENCE)


def _read_memberships(callers: Sequence[Caller]) -> list[Chats | Exception]:
    with reading() as unit:
        live = queries.live_sessions(unit, [caller.session_id for caller in callers])
        chats = queries.rooms_of_people(unit, [caller.user_id for caller in callers])
        found: list[Chats | Exception] = []
        for caller in callers:
            try:
                if caller.session_id not in live:
                    require_live_session(unit, caller)
                found.append(chats.get(caller.user_id, {}))
            except Exception as error:
                found.append(error)
    return found


@lru_cache(maxsize=1)
def _room_states() -> Combiner[Sequence[int], dict[int, RoomState]]:
    def read(asked: Sequence[Sequence[int]]) -> list[dict[int, RoomState]]:
        chat_ids = sorted({chat_id for each in asked for chat_id in each})
        with reading() as unit:
            return [queries.room_states(unit, chat_ids)] * len(asked)

    return Combiner(read, _LANES, _LARGEST_BATCH, _PATIENCE)


@lru_cache(maxsize=1)
def _live_calls() -> Combiner[int, CallRow | None]:
    def read(user_ids: Sequence[int]) -> list[CallRow | None]:
        with reading() as unit:
            live = live_calls(unit, sorted(set(user_ids)))
        return [live.get(user_id) for user_id in user_ids]

    return Combiner(read, _LANES, _LARGEST_BATCH, _PATIENCE)

"""What waits for a socket: how the call of its person stands, and what the other side has said to its device."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from app.calls import events, mailbox, queries
from app.calls.queries import CallRow
from app.calls.service.views import present
from app.infra.db import UnitOfWork, reading


def live_calls(unit: UnitOfWork, user_ids: Sequence[int]) -> dict[int, CallRow]:
    """The calls that people are in now, or that ring for them."""
    return queries.live_of_people(unit, user_ids)


def event_of_now(row: CallRow, user_id: int, session_id: str) -> bytes | None:
    """How a live call stands, as the event that a socket would have had, had it been there.

    None for other devices of a person who is in a call of two.
    """
    call = present(row, user_id)
    if row.callee_id is None:
        return events.frame("updated", call)
    if row.state == "ringing":
        return events.frame("ringing", call)
    return events.frame("answered", call) if session_id == _device(row, user_id) else None


def waiting_signals(user_id: int, session_id: str, call_id: int, after: int) -> list[tuple[int, bytes]]:
    """What the other side has said past the signal `after`, in order: the id of each, and its event.

    Asks again whether the device is in the call. Raises Unavailable without PostgreSQL or Redis.
    """
    with reading() as unit:
        row = queries.find(unit, call_id)
    if row is None or row.state == "ended" or session_id != _device(row, user_id):
        return []
    call = orjson.dumps(present(row, user_id))
    signals = mailbox.waiting(call_id, user_id, after)
    return [(signal.id, events.signal_frame(call, signal.id, signal.content)) for signal in signals]


def _device(row: CallRow, user_id: int) -> str | None:
    return row.caller_session_id if user_id == row.caller_id else row.callee_session_id

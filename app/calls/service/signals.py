"""What the two devices of a call say to each other, which nobody else hears, nor the server reads."""

from __future__ import annotations

from typing import Any

import orjson

from app.calls import events, mailbox
from app.calls.queries import CallRow
from app.calls.service.views import find_own, reread
from app.errors import AnsweredElsewhere, CallEnded, Conflict, Forbidden
from app.infra.db import reading
from app.web.authentication import Caller, require_live_session


def send_signal(caller: Caller, call_id: int, signal: dict[str, Any]) -> None:
    """Says something to the device on the other side, which has it as soon as it is there.

    While a call rings the device that called may speak; who answers hears it then. PostgreSQL is asked first, and its
    connection given back: others need not wait for it while Redis is slow. Raises NotFound, Forbidden (a device
    that is not in the call), AnsweredElsewhere, CallEnded, Conflict (not answered yet, or a group), RateLimited,
    SessionRevoked or Unavailable.
    """
    with reading() as unit:
        require_live_session(unit, caller)
        other_id, other_session_id = _other_side(find_own(unit, caller.user_id, call_id), caller)
    mailbox.put(call_id, other_id, orjson.dumps(signal))
    if other_session_id is None:
        # Who has answered since it was looked may have looked before this was there.
        with reading() as unit:
            other_session_id = reread(unit, call_id).callee_session_id
    if other_session_id is not None:
        events.signals_wait(other_id, call_id, other_session_id)


def _other_side(row: CallRow, caller: Caller) -> tuple[int, str | None]:
    """The person on the other side, and that person's device, if there is one yet."""
    if row.callee_id is None:
        raise Conflict("In a group call LiveKit connects the devices.")
    if row.state == "ended":
        raise CallEnded
    if caller.user_id == row.caller_id:
        if caller.session_id != row.caller_session_id:
            raise Forbidden("Only the device that called takes part in the call.")
        return row.callee_id, row.callee_session_id
    if row.state == "ringing":
        raise Conflict("Answer the call first.")
    if caller.session_id != row.callee_session_id:
        raise AnsweredElsewhere
    return row.caller_id, row.caller_session_id

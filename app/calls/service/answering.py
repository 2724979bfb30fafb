"""Answering a call, or joining that of a group."""

from __future__ import annotations

from functools import partial

from app.calls import events, queries
from app.calls.queries import CallRow
from app.calls.schemas import JoinedCall
from app.calls.service import groups
from app.calls.service.freeing import with_free_people
from app.calls.service.views import find_own, present, present_joined, reread
from app.errors import AnsweredElsewhere, AppError, CallEnded, Forbidden
from app.infra.db import UnitOfWork
from app.web.authentication import Caller


def answer_call(caller: Caller, call_id: int) -> JoinedCall:
    """Answers a ringing call with the caller's device, which others then cannot; again by the same one is harmless.

    In units of its own. Raises NotFound, Forbidden (one's own call), AnsweredElsewhere, CallEnded; in a group also
    Busy, Conflict or GroupCallsUnavailable.
    """
    return with_free_people(partial(_answer, caller, call_id))


def _answer(caller: Caller, call_id: int, unit: UnitOfWork) -> JoinedCall:
    row = find_own(unit, caller.user_id, call_id)
    if row.callee_id is None:
        return groups.join(unit, caller, row)
    if row.callee_id != caller.user_id:
        raise Forbidden("Only the person who is called answers.")
    is_first = queries.answer(unit, call_id, caller.user_id, caller.session_id)
    row = reread(unit, call_id)
    if is_first:
        events.answered(
            unit, present(row, row.caller_id), caller.user_id, caller.session_id, present(row, caller.user_id)
        )
    elif row.state != "active" or row.callee_session_id != caller.session_id:
        raise _refusal(row)
    return present_joined(row, caller.user_id)


def _refusal(row: CallRow) -> AppError:
    # One that still rings here has rung for too long: the sweep just has not come to it.
    return AnsweredElsewhere() if row.state == "active" else CallEnded()

"""How a call ends: by one of its people, because nobody answered, or because nobody is there any more.

Whichever of these comes first, the others find it ended: so the chat gets one message, and everybody one event.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter

from app.calls import events, mailbox, queries
from app.calls.queries import CallRow
from app.calls.schemas import Call
from app.calls.service import groups
from app.calls.service.views import find_own, present, reread, views
from app.chats.locking import LockedChat, lock_chat_for_service, post_notice
from app.errors import AnsweredElsewhere
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.web.authentication import Caller
from config import settings

calls_ended = Counter("paperplane_calls_ended_total", "Calls that have ended.", ["reason"])


def end_call(unit: UnitOfWork, caller: Caller, call_id: int, reason: str | None) -> Call:
    """Hangs up, declines or cancels, as the call stands; one that is over stays as it ended.

    Raises NotFound, or AnsweredElsewhere where the caller's other device has the call. In a group it is leaving, with
    the reason "hangup" from any device.
    """
    row = find_own(unit, caller.user_id, call_id)
    if row.callee_id is None:
        return groups.leave(unit, caller.user_id, None if reason == "hangup" else caller.session_id, row)
    chat = lock_chat_for_service(unit, row.chat_id)
    if queries.end_by_person(unit, call_id, caller.user_id, caller.session_id, reason):
        row = _tell_end(unit, chat, call_id)
    else:
        row = reread(unit, call_id)
        if row.state != "ended":
            raise AnsweredElsewhere
    return present(row, caller.user_id)


def end_overdue(call_id: int) -> bool:
    """Ends a call that rang for too long, in a unit of its own; whether it was this that ended it."""
    return _end(call_id, lambda unit: queries.end_overdue(unit, call_id))


def end_disconnected(call_id: int, state: str) -> bool:
    """Ends a call whose devices are gone for too long, in the same way; one that rings is missed then."""
    seconds = settings().call_disconnect_timeout
    return _end(call_id, lambda unit: queries.end_disconnected(unit, call_id, state, seconds))


def end_for(unit: UnitOfWork, chat: LockedChat, call_id: int, user_id: int) -> bool:
    """Ends a direct call in a locked chat as if a person had hung up, declined or cancelled; whether it was this."""
    is_ended = queries.end_by_person(unit, call_id, user_id, None, "hangup")
    if is_ended:
        _tell_end(unit, chat, call_id)
    return is_ended


def _end(call_id: int, end: Callable[[UnitOfWork], bool]) -> bool:
    with reading() as unit:
        chat_id = reread(unit, call_id).chat_id
    with unit_of_work() as unit:
        chat = lock_chat_for_service(unit, chat_id)
        is_ended = end(unit)
        if is_ended:
            _tell_end(unit, chat, call_id)
    return is_ended


def _tell_end(unit: UnitOfWork, chat: LockedChat, call_id: int) -> CallRow:
    row = reread(unit, call_id)
    notice_of_end(unit, chat, row)
    of_both = views(row)
    events.told(unit, "ended", of_both)
    mailbox.forget(unit, call_id, [user_id for user_id, _ in of_both])
    return row


def notice_of_end(unit: UnitOfWork, chat: LockedChat, row: CallRow) -> None:
    """Posts the service message of a call that has ended, in the name of who made it; counts it."""
    call = present(row, row.caller_id)
    post_notice(
        unit,
        chat,
        row.caller_id,
        "call",
        call_id=row.id,
        call_type=row.call_type,
        end_reason=row.end_reason,
        duration_seconds=call["duration_seconds"],
    )
    unit.after_commit(calls_ended.labels(str(row.end_reason)).inc)

"""Calls of groups, which take place in LiveKit: here is only who is in them.

A group has one call at a time. It begins with the first who comes and ends with the last who leaves.
"""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from app.calls import events, livekit, queries
from app.calls.queries import CallRow
from app.calls.schemas import Call, JoinedCall
from app.calls.service.taken import Taken
from app.calls.service.views import present, present_joined, reread
from app.chats.locking import LockedChat, lock_chat, lock_chat_for_service, post_notice
from app.chats.service import membership
from app.errors import Busy, CallEnded, Conflict, GroupCallsUnavailable, NotFound
from app.infra import jobs
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from config import settings

_NOBODY = 0


def start(unit: UnitOfWork, chat: LockedChat, caller: Caller, call_type: str) -> JoinedCall:
    """Joins the call of a locked group, which begins where there is none; raises Busy, Taken, Conflict or
    GroupCallsUnavailable.
    """
    _require_livekit()
    call_id = queries.live_in_chat(unit, chat.id)
    if call_id is None:
        call_id = queries.insert_group_call(unit, chat.id, caller.user_id, call_type)
        post_notice(unit, chat, caller.user_id, "call_started", call_id=call_id, call_type=call_type)
    return _enter(unit, chat, caller, call_id)


def join(unit: UnitOfWork, caller: Caller, row: CallRow) -> JoinedCall:
    """Joins a group's call; raises NotFound, CallEnded, Busy, Taken, Conflict or GroupCallsUnavailable."""
    _require_livekit()
    chat = lock_chat(unit, row.chat_id, caller.user_id)
    if reread(unit, row.id).state == "ended":
        raise CallEnded
    return _enter(unit, chat, caller, row.id)


def _enter(unit: UnitOfWork, chat: LockedChat, caller: Caller, call_id: int) -> JoinedCall:
    before = reread(unit, call_id).participant_ids
    if len({*before, caller.user_id}) > settings().call_max_participants:
        raise Conflict(f"A call has at most {settings().call_max_participants} people.")
    if caller.user_id not in before and queries.busy_people(unit, [caller.user_id]):
        raise Busy("You are in a call already.")
    try:
        queries.join(unit, call_id, caller.user_id, caller.session_id)
    except IntegrityError:
        raise Taken([caller.user_id]) from None
    row = reread(unit, call_id)
    _tell(unit, "updated", chat, row)
    return present_joined(row, caller.user_id)


def leave(unit: UnitOfWork, user_id: int, session_id: str | None, row: CallRow) -> Call:
    """Takes a person out of a group's call, which ends with the last one.

    Nothing happens for who is not in it, nor for a device that is not, while the person's other one is; for None any
    device is meant.
    """
    chat = lock_chat_for_service(unit, row.chat_id)
    row = take_out(unit, chat, user_id, row.id, "hangup", session_id)
    if not _is_member(unit, row.chat_id, user_id):
        row = row._replace(participant_ids=[])  # Who is in it now is no business of former members.
    return present(row, user_id)


def take_out(
    unit: UnitOfWork,
    chat: LockedChat,
    user_id: int,
    call_id: int,
    reason: str,
    session_id: str | None = None,
    gone_for: int | None = None,
) -> CallRow:
    """Takes a person out of the call of a locked group, and ends it for `reason` where that was the last one.

    With a session only where the person is in it with that device, with seconds only where it is gone for so long.
    """
    if not queries.leave(unit, call_id, user_id, session_id, gone_for):
        return reread(unit, call_id)
    is_over = queries.end_empty(unit, call_id, reason)
    row = reread(unit, call_id)
    if is_over:
        duration = present(row, user_id)["duration_seconds"]
        post_notice(unit, chat, row.caller_id, "call_ended", call_id=call_id, duration_seconds=duration)
    _tell(unit, "ended" if is_over else "updated", chat, row)
    jobs.enqueue(unit, jobs.CLEAR_ROOMS)
    return row


def _tell(unit: UnitOfWork, action: str, chat: LockedChat, row: CallRow) -> None:
    # Hubs ask who is in the group, but not of whom they are told by name.
    starter = present(row, row.caller_id) if _is_member(unit, chat.id, row.caller_id) else None
    events.told_group(unit, action, present(row, _NOBODY), starter, chat.members_revision)


def _is_member(unit: UnitOfWork, chat_id: int, user_id: int) -> bool:
    try:
        membership(unit, chat_id, user_id)
    except NotFound:
        return False
    return True


def _require_livekit() -> None:
    if not livekit.is_available():
        raise GroupCallsUnavailable

"""Starting a call."""

from __future__ import annotations

from functools import partial

from app.calls import events, queries
from app.calls.schemas import JoinedCall, NewCall
from app.calls.service import groups
from app.calls.service.ending import notice_of_end
from app.calls.service.freeing import with_free_people
from app.calls.service.taken import Taken
from app.calls.service.views import present_joined, reread, views
from app.chats.locking import LockedChat, lock_chat
from app.chats.schemas import NewChat
from app.chats.service import create_chat
from app.errors import Busy, Forbidden, NotFound
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from config import settings


def start_call(caller: Caller, new: NewCall) -> JoinedCall:
    """Rings a person, or starts or joins the call of a group; in units of its own.

    That somebody was rung who is busy is kept, as a call that ended so. Raises NotFound, Forbidden (blocked, a channel,
    oneself), Busy, Conflict or GroupCallsUnavailable.
    """
    started = with_free_people(partial(_start, caller, new))
    if started is None:
        raise Busy("This person is in another call.")
    return started


def _start(caller: Caller, new: NewCall, unit: UnitOfWork) -> JoinedCall | None:
    chat = _lock(unit, caller.user_id, new)
    if chat.type == "group":
        return groups.start(unit, chat, caller, new.call_type)
    callee_id = _callee(unit, chat, caller.user_id)
    return _ring(unit, chat, caller, callee_id, new.call_type)


def _lock(unit: UnitOfWork, user_id: int, new: NewCall) -> LockedChat:
    chat_id = new.chat_id
    if new.user_id is not None:
        if new.user_id == user_id:
            raise Forbidden("You cannot call yourself.")
        chat_id = queries.direct_chat(unit, user_id, new.user_id)
        if chat_id is None:
            chat_id = create_chat(unit, user_id, NewChat(type="direct", user_id=new.user_id))[0]["id"]
    assert chat_id is not None
    return lock_chat(unit, chat_id, user_id)


def _callee(unit: UnitOfWork, chat: LockedChat, user_id: int) -> int:
    """Who is to be rung; the chat's row is held, for which those who block wait, too."""
    if chat.type == "channel":
        raise Forbidden("There are no calls in channels.")
    peer = queries.the_other(unit, chat.id, user_id)
    if peer is None:
        raise Forbidden("You cannot call yourself.")
    if not peer.is_living:
        raise NotFound("There is no such person.")
    if peer.blocks:
        raise Forbidden("This person does not take calls from you.")
    return peer.user_id


def _ring(unit: UnitOfWork, chat: LockedChat, caller: Caller, callee_id: int, call_type: str) -> JoinedCall | None:
    """The new call; None where the callee is in another one, which is noted."""
    people = [caller.user_id, callee_id]
    busy = queries.busy_people(unit, people)
    if caller.user_id in busy:
        raise Busy("You are in a call already.")
    if callee_id in busy:
        row = reread(unit, queries.insert_busy(unit, chat.id, caller.user_id, callee_id, call_type))
        notice_of_end(unit, chat, row)
        events.told(unit, "ended", views(row))
        return None
    if queries.live_in_chat(unit, chat.id) is not None:
        raise Taken(people)
    call_id = queries.insert_ringing(
        unit, chat.id, caller.user_id, caller.session_id, callee_id, call_type, settings().call_ring_timeout
    )
    if call_id is None:
        raise Taken(people)
    row = reread(unit, call_id)
    events.told(unit, "ringing", views(row))
    return present_joined(row, caller.user_id)

"""Ends calls that are due to end; all that it needs to know stands in the rows, so it may die at any moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from app.calls import livekit, queries
from app.calls.service.ending import end_disconnected, end_for, end_overdue
from app.calls.service.groups import take_out
from app.calls.service.views import reread
from app.chats.locking import lock_chat_for_service
from app.errors import AppError
from app.infra import jobs, presence, sweeps
from app.infra.db import reading, unit_of_work
from config import settings

_SWEEP = "calls"
_BATCH = 500

log = structlog.get_logger(__name__)

sweep_lag = Gauge(
    "paperplane_call_sweep_lag_seconds",
    "For how long the longest ringing call should have ended when the sweep last looked.",
    multiprocess_mode="mostrecent",
)


def sweep() -> int:
    """Ends calls that rang for too long, or all of whose devices are gone, and takes out who has no business there any
    more; how often. One sweep runs at a time.
    """
    with sweeps.only_one(_SWEEP) as alone:
        return _end_overdue() + _end_disconnected() + end_barred() if alone else 0


def end_barred(user_ids: Sequence[int] | None = None) -> int:
    """Takes people, or those of them who are named, out of calls where they have no business any more; how many.

    Their device was signed out, they block the other one, are out of the group, or their account is erased. A direct
    call ends by it as if they had hung up.
    """
    with reading() as unit:
        found = queries.barred(unit, _BATCH, user_ids)
    if user_ids is not None and livekit.is_available():
        with unit_of_work() as unit:
            for user_id in user_ids:
                queries.bar_from_rooms(unit, user_id, livekit.longest_token())
            jobs.enqueue(unit, jobs.CLEAR_ROOMS)
    return sum(_attempt(call_id, partial(_end_barred, call_id, user_id)) for call_id, user_id in found)


def _end_barred(call_id: int, user_id: int) -> bool:
    with unit_of_work() as unit:
        row = reread(unit, call_id)
        chat = lock_chat_for_service(unit, row.chat_id)
        # Meanwhile the person may have come back, with another device for example.
        if (call_id, user_id) not in queries.barred(unit, 1, [user_id]):
            return False
        if row.callee_id is not None:
            return end_for(unit, chat, call_id, user_id)
        take_out(unit, chat, user_id, call_id, "hangup")
    return True


def _end_overdue() -> int:
    with reading() as unit:
        found = queries.overdue(unit, _BATCH)
    sweep_lag.set(max((seconds for _, seconds in found), default=0.0))
    return sum(_attempt(call_id, partial(end_overdue, call_id)) for call_id, _ in found)


def _end_disconnected() -> int:
    _look_for_devices()
    seconds = settings().call_disconnect_timeout
    with reading() as unit:
        calls = queries.disconnected(unit, seconds, _BATCH)
        strayed = queries.strayed(unit, seconds, _BATCH)
    left = sum(_attempt(call_id, partial(_take_out, call_id, user_id, seconds)) for call_id, user_id in strayed)
    return left + sum(_attempt(call_id, partial(end_disconnected, call_id, state)) for call_id, state in calls)


def _attempt(call_id: int, end: Callable[[], bool]) -> bool:
    """Ends a call; one that cannot be ended now, its chat being locked for example, keeps no other one waiting."""
    try:
        return end()
    except (AppError, SQLAlchemyError) as error:
        log.warning("call_not_ended", call_id=call_id, error=type(error.__cause__ or error).__name__)
        return False


def _take_out(call_id: int, user_id: int, seconds: int) -> bool:
    with unit_of_work() as unit:
        chat = lock_chat_for_service(unit, reread(unit, call_id).chat_id)
        row = take_out(unit, chat, user_id, call_id, "disconnected", gone_for=seconds)
    return user_id not in row.participant_ids


def _look_for_devices() -> None:
    """Notes of each device in a call, or that rings somebody, whether it has a socket now."""
    after = 0
    while True:
        with reading() as unit:
            found = queries.devices(unit, after, _BATCH)
        connected = presence.connected_sessions({device.user_id for device in found})
        if connected is None:
            return  # Without Redis nobody knows: then nobody is taken for gone.
        lost = [device for device in found if device.session_id not in connected and not device.is_gone]
        back = [device for device in found if device.session_id in connected and device.is_gone]
        if lost or back:
            with unit_of_work() as unit:
                queries.mark_gone(unit, lost)
                queries.mark_present(unit, back)
        if len(found) < _BATCH:
            return
        after = found[-1].user_id

"""Which chats are fanned out, when: those marked dirty at once, and by the sweep all that were lost on the way.

A chat that fails is counted in the database and does not stop the others; after three attempts it is set aside until
somebody has looked at it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import structlog
from prometheus_client import Counter, Gauge
from psycopg2.errors import QueryCanceled

from app.errors import Unavailable
from app.infra import redis as redis_connections
from app.infra import set_aside, sweeps
from app.infra.db import reading, unit_of_work
from app.infra.jobs import DIRTY_CHATS, FANOUT_UNREAD
from app.messages import unread, unread_queries

_SWEEP = "unread"
# What one group, one sweep and one job take at most.
_LARGEST_GROUP = 200
_LARGEST_STRETCH = 50_000
_LONGEST_RUN = 20.0

log = structlog.get_logger(__name__)
chats_set_aside = Counter("paperplane_unread_chats_set_aside", "Chats set aside after the fan-out failed too often.")
sweep_lag = Gauge(
    "paperplane_unread_sweep_lag_seconds",
    "How far behind now the sweep for lost fan-outs has looked.",
    multiprocess_mode="mostrecent",
)


def take_dirty(limit: int = _LARGEST_GROUP) -> int:
    """Takes up to `limit` chats from the set of dirty ones and fans them out; gives how many were taken.

    Raises RedisError where Redis is away. What a worker takes and does not finish is found by the sweep.
    """
    taken = redis_connections.client().spop(DIRTY_CHATS, limit)
    chat_ids = sorted({int(member) for member in taken if member.isdigit()})  # type: ignore[union-attr]
    if chat_ids:
        _fan_out(chat_ids, count_first=False)
    return len(taken)  # type: ignore[arg-type]


def take_all_dirty() -> bool:
    """Takes dirty chats for some seconds at most; tells whether none were left."""
    deadline = time.monotonic() + _LONGEST_RUN
    while time.monotonic() < deadline:
        if take_dirty(_LARGEST_GROUP) < _LARGEST_GROUP:
            return True
    return False


def sweep() -> int:
    """Fans out chats whose job was lost; gives how many there were. Does nothing while another sweep runs."""
    with sweeps.only_one(_SWEEP) as alone:
        if not alone:
            return 0
        with reading() as unit:
            mark = sweeps.mark(unit, _SWEEP)
            horizon = sweeps.safe_horizon(unit)
        return _sweep_all(horizon) if mark is None else _sweep_from(mark, horizon)


def _sweep_all(horizon: int) -> int:
    """The first run: looks at every chat, and leaves the mark only once it is through with them."""
    deadline = time.monotonic() + _LONGEST_RUN
    handled = after = 0
    complete = True
    while time.monotonic() < deadline:
        with reading() as unit:
            chat_ids = unread_queries.behind(unit, after, _LARGEST_GROUP)
        if not chat_ids:
            if complete:
                _advance(horizon)
            break
        complete &= _fan_out(chat_ids, count_first=True)
        handled += len(chat_ids)
        after = chat_ids[-1]
    return handled


def _sweep_from(mark: int, horizon: int) -> int:
    deadline = time.monotonic() + _LONGEST_RUN
    handled = 0
    while mark < horizon and time.monotonic() < deadline:
        with reading() as unit:
            until = unread_queries.end_of_stretch(unit, mark, horizon, _LARGEST_STRETCH)
            chat_ids = unread_queries.behind_with_messages(unit, mark, until)
        groups = [chat_ids[start : start + _LARGEST_GROUP] for start in range(0, len(chat_ids), _LARGEST_GROUP)]
        results = [_fan_out(group, count_first=True) for group in groups]
        handled += len(chat_ids)
        if not all(results):
            # The mark stays before what was not handled; what was is not behind any more.
            break
        mark = until
        _advance(mark)
    return handled


def _advance(mark: int) -> None:
    with unit_of_work() as unit:
        sweeps.move_mark(unit, _SWEEP, mark)
        sweep_lag.set(sweeps.lag_seconds(unit, mark))


def _fan_out(chat_ids: Sequence[int], count_first: bool) -> bool:
    """Fans out chats together; where that fails, one by one. Tells whether all are done with, set aside included.

    `count_first` counts the attempt before the work, so that a chat which ends the worker is known next time.
    """
    with reading() as unit:
        attempts = set_aside.attempts(unit, FANOUT_UNREAD, _subjects(chat_ids))
    suspects = [chat_id for chat_id in chat_ids if str(chat_id) in attempts]
    others = [chat_id for chat_id in chat_ids if str(chat_id) not in attempts]
    if others and not _together(others, count_first):
        # Those whose attempt was counted above have it taken back: which of them is to blame shows now.
        suspects = sorted([*suspects, *others])
    done = [_alone(chat_id) for chat_id in suspects if attempts.get(str(chat_id), 0) < set_aside.MOST_ATTEMPTS]
    return all(done)


def _together(chat_ids: Sequence[int], count_first: bool) -> bool:
    if count_first:
        _begin(chat_ids)
    try:
        unread.fan_out_all(chat_ids)
    except Exception as error:
        log.warning("fanout_group_failed", chats=len(chat_ids), error=type(error).__name__)
        if count_first:
            _done(chat_ids)
        return False
    if count_first:
        _done(chat_ids)
    return True


def _alone(chat_id: int) -> bool:
    _begin((chat_id,))
    try:
        unread.fan_out(chat_id)
    except Exception as error:
        return _blame(chat_id, error)
    _done((chat_id,))
    return True


def _blame(chat_id: int, error: Exception) -> bool:
    """Notes the failure; tells whether the chat is set aside, which makes it done with."""
    subject = str(chat_id)
    if isinstance(error, Unavailable) and not _timed_out(error):
        with unit_of_work() as unit:
            set_aside.postponed(unit, FANOUT_UNREAD, (subject,))
        return False
    with unit_of_work() as unit:
        attempts = set_aside.failed(unit, FANOUT_UNREAD, subject, _reason(error))
    log.error("fanout_failed", chat_id=chat_id, attempts=attempts, exc_info=error)
    if attempts < set_aside.MOST_ATTEMPTS:
        return False
    chats_set_aside.inc()
    log.error("fanout_set_aside", chat_id=chat_id)
    return True


def _reason(error: Exception) -> str:
    """The first line of what went wrong: the further ones of PostgreSQL hold the row's values."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:500]


def _timed_out(error: Unavailable) -> bool:
    """Whether a statement took too long, which an input may be to blame for; a database that is away never is."""
    cause = error.__cause__
    return isinstance(getattr(cause, "orig", cause), QueryCanceled)


def _subjects(chat_ids: Collection[int]) -> list[str]:
    return [str(chat_id) for chat_id in chat_ids]


def _begin(chat_ids: Collection[int]) -> None:
    with unit_of_work() as unit:
        set_aside.begin(unit, FANOUT_UNREAD, _subjects(chat_ids))


def _done(chat_ids: Collection[int]) -> None:
    with unit_of_work() as unit:
        set_aside.done(unit, FANOUT_UNREAD, _subjects(chat_ids))


def retry_set_aside() -> int:
    """Lets chats that were set aside, and looked at since, be fanned out again, now; gives how many there were."""
    with unit_of_work() as unit:
        chat_ids = [int(job.subject) for job in set_aside.listed(unit, 1000) if job.job == FANOUT_UNREAD]
        set_aside.done(unit, FANOUT_UNREAD, _subjects(chat_ids))
    if chat_ids:
        _fan_out(chat_ids, count_first=True)
    return len(chat_ids)

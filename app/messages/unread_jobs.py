"""Which chats are fanned out, when: those marked dirty at once, and by the sweep all that were lost on the way.

A chat that fails is counted in the database and does not stop the others; after three attempts it is set aside until
somebody has looked at it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import Counter, Gauge

from app.infra import sweeps
from app.infra.attempts import Attempts
from app.infra.db import reading, unit_of_work
from app.infra.jobs import DIRTY_CHATS, FANOUT_UNREAD
from app.messages import unread, unread_queries

_SWEEP = "unread"
# What one group, one sweep and one job take at most.
_LARGEST_GROUP = 200
_LARGEST_STRETCH = 50_000
_LONGEST_RUN = 20.0

chats_set_aside = Counter("paperplane_unread_chats_set_aside", "Chats set aside after the fan-out failed too often.")
sweep_lag = Gauge(
    "paperplane_unread_sweep_lag_seconds",
    "How far behind now the sweep for lost fan-outs has looked.",
    multiprocess_mode="mostrecent",
)


def _fan_out(chat_ids: Sequence[int]) -> None:
    unread.fan_out_all(chat_ids)


_attempts = Attempts(FANOUT_UNREAD, _fan_out, chats_set_aside)


def take_dirty(limit: int = _LARGEST_GROUP) -> int:
    """Takes up to `limit` chats from the set of dirty ones and fans them out; gives how many were taken.

    Raises RedisError where Redis is away. What a worker takes and does not finish is found by the sweep.
    """
    return _attempts.take_marked(DIRTY_CHATS, limit)


def take_all_dirty() -> bool:
    """Takes dirty chats for some seconds at most; tells whether none were left."""
    return _attempts.take_all_marked(DIRTY_CHATS, _LARGEST_GROUP, _LONGEST_RUN)


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
        complete &= _attempts.run(chat_ids, count_first=True)
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
        results = [_attempts.run(group, count_first=True) for group in groups]
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


def retry_set_aside() -> int:
    """Lets chats that were set aside, and looked at since, be fanned out again, now; gives how many there were."""
    return _attempts.retry_set_aside()

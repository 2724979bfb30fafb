"""Which chats' queued moves are applied, when: those marked at once, and by the sweep all that were lost on the way."""

from __future__ import annotations

import time
from collections.abc import Sequence

from prometheus_client import Counter, Gauge

from app.infra import sweeps
from app.infra.attempts import Attempts
from app.infra.db import reading
from app.infra.jobs import DIRTY_RECEIPTS, UPDATE_STATUS
from app.messages import status_queries, statuses

_SWEEP = "statuses"
# What one group and one job take at most.
_LARGEST_GROUP = 200
_LONGEST_RUN = 15.0

chats_set_aside = Counter(
    "paperplane_status_chats_set_aside", "Chats set aside after writing down their statuses failed too often."
)
sweep_lag = Gauge(
    "paperplane_status_sweep_lag_seconds",
    "How long the oldest mark waited for its statuses when the sweep last looked.",
    multiprocess_mode="mostrecent",
)


def _update(chat_ids: Sequence[int]) -> None:
    statuses.update_all(chat_ids)


_attempts = Attempts(UPDATE_STATUS, _update, chats_set_aside)


def take_dirty(limit: int = _LARGEST_GROUP) -> int:
    """Takes up to `limit` chats from the set of dirty ones and sees to them; gives how many were taken.

    Raises RedisError where Redis is away. What a worker takes and does not finish is found by the sweep.
    """
    return _attempts.take_marked(DIRTY_RECEIPTS, limit)


def take_all_dirty() -> bool:
    """Takes dirty chats for some seconds at most; tells whether none were left."""
    return _attempts.take_all_marked(DIRTY_RECEIPTS, _LARGEST_GROUP, _LONGEST_RUN)


def sweep() -> int:
    """Sees to all chats that have moves in the queue; gives how many there were.

    The queue is the truth: what is in it is due. Does nothing while another sweep runs.
    """
    with sweeps.only_one(_SWEEP) as alone:
        return _sweep_all() if alone else 0


def _sweep_all() -> int:
    deadline = time.monotonic() + _LONGEST_RUN
    handled = after = 0
    lag = 0.0
    while time.monotonic() < deadline:
        with reading() as unit:
            found = status_queries.waiting(unit, after, _LARGEST_GROUP)
        lag = max([lag, *(chat.seconds for chat in found)])
        sweep_lag.set(lag)
        if not found:
            break
        _attempts.run([chat.chat_id for chat in found], count_first=True)
        handled += len(found)
        after = found[-1].chat_id
    return handled


def retry_set_aside() -> int:
    """Sees again to chats that were set aside, and looked at since; gives how many there were."""
    return _attempts.retry_set_aside()

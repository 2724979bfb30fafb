"""Which chats' queued moves are applied, when: those marked at once, and by the sweep all that were lost on the way."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge

from app.infra import sweeps
from app.infra.attempts import marked_in
from app.infra.db import reading
from app.infra.jobs import DIRTY_RECEIPTS, UPDATE_STATUS
from app.messages import status_queries, statuses
from app.messages.marked_chats import MarkedChats, passed

_SWEEP = "statuses"
# What one sweep takes at most, of chats at once and of seconds.
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

marked = MarkedChats(UPDATE_STATUS, marked_in(DIRTY_RECEIPTS), statuses.update_all, chats_set_aside)


def update_marked() -> bool:
    """Sees to the chats that are marked, for some seconds at most; tells whether none were left. Raises RedisError."""
    return marked.take_all(passed(_LONGEST_RUN))


def sweep() -> int:
    """Sees to all chats that have moves in the queue; gives how many there were.

    The queue is the truth: what is in it is due. Does nothing while another sweep runs.
    """
    with sweeps.only_one(_SWEEP) as alone:
        return _sweep_all() if alone else 0


def _sweep_all() -> int:
    lag = 0.0

    def find(after: int) -> list[int]:
        nonlocal lag
        with reading() as unit:
            found = status_queries.waiting(unit, after, _LARGEST_GROUP)
        lag = max([lag, *(chat.seconds for chat in found)])
        sweep_lag.set(lag)
        return [chat.chat_id for chat in found]

    handled, _ = marked.sweep_all(find, time.monotonic() + _LONGEST_RUN)
    return handled

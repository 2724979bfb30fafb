"""Which chats are fanned out, when: those marked dirty at once, and by the sweep all that were lost on the way."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge

from app.infra import sweeps
from app.infra.attempts import marked_in
from app.infra.db import reading, unit_of_work
from app.infra.jobs import DIRTY_CHATS, FANOUT_UNREAD
from app.messages import removal_queries, unread, unread_queries
from app.messages.marked_chats import MarkedChats, passed

_SWEEP = "unread"
# What one sweep takes at most, of chats at once, of messages at once, and of seconds: in all, and for deleted messages.
_LARGEST_GROUP = 200
_LARGEST_STRETCH = 50_000
_LONGEST_RUN = 20.0
_LONGEST_REMOVING = 10.0

chats_set_aside = Counter("paperplane_unread_chats_set_aside", "Chats set aside after the fan-out failed too often.")
sweep_lag = Gauge(
    "paperplane_unread_sweep_lag_seconds",
    "How far behind now the sweep for lost fan-outs has looked.",
    multiprocess_mode="mostrecent",
)

marked = MarkedChats(FANOUT_UNREAD, marked_in(DIRTY_CHATS), unread.fan_out_all, chats_set_aside)


def fan_out_marked() -> bool:
    """Fans out the chats that are marked, for some seconds at most; tells whether none were left. Raises RedisError."""
    return marked.take_all(passed(_LONGEST_RUN))


def sweep() -> int:
    """Fans out chats whose job was lost; gives how many there were. Does nothing while another sweep runs."""
    with sweeps.only_one(_SWEEP) as alone:
        if not alone:
            return 0
        begun = time.monotonic()
        with reading() as unit:
            with_removals = removal_queries.chats(unit, _LARGEST_GROUP)
        marked.sweep(with_removals, begun + _LONGEST_REMOVING)
        with reading() as unit:
            mark = sweeps.mark(unit, _SWEEP)
            horizon = sweeps.safe_horizon(unit)
        deadline = begun + _LONGEST_RUN
        return _sweep_all(horizon, deadline) if mark is None else _sweep_from(mark, horizon, deadline)


def _sweep_all(horizon: int, deadline: float) -> int:
    """The first run: looks at every chat, and leaves the mark only once it is through with them."""

    def find(after: int) -> list[int]:
        with reading() as unit:
            return unread_queries.behind(unit, after, _LARGEST_GROUP)

    handled, is_done = marked.sweep_all(find, deadline)
    if is_done:
        _advance(horizon)
    return handled


def _sweep_from(mark: int, horizon: int, deadline: float) -> int:
    handled = 0
    while mark < horizon and time.monotonic() < deadline:
        with reading() as unit:
            until = unread_queries.end_of_stretch(unit, mark, horizon, _LARGEST_STRETCH)
            chat_ids = unread_queries.behind_with_messages(unit, mark, until)
        complete = marked.sweep(chat_ids, deadline)
        handled += len(chat_ids)
        if not complete:
            # The mark stays before what was not handled; what was is not behind any more.
            break
        mark = until
        _advance(mark)
    return handled


def _advance(mark: int) -> None:
    with unit_of_work() as unit:
        sweeps.move_mark(unit, _SWEEP, mark)
        sweep_lag.set(sweeps.lag_seconds(unit, mark))

"""Which chats are indexed, when: those marked soon, and by the sweep all that were lost on the way.

While API processes are busy both wait, for SEARCH_PATIENCE at most: on the processors that sends need, indexing would
cost them a tenth or more. See decision 0038.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from prometheus_client import Counter, Gauge

from app.infra import busy, jobs, sweeps
from app.infra import redis as redis_connections
from app.infra.db import reading, unit_of_work
from app.infra.redis import RedisError
from app.messages.marked_chats import MarkedChats, passed
from app.search import indexing
from app.search import indexing_queries as queries
from app.search.waiting import FOR_LONG, is_overdue, return_chats, take, waiting_since
from config import settings

_SWEEP = "search"
# Seconds after which a job leaves the rest to another one: where all queues share two processes, unread counts wait.
_LONGEST_JOB = 1.0
# What one sweep takes at most: chats that it looks at, and seconds.
_LARGEST_ROUND = 50_000
_LONGEST_RUN = 20.0
# What changed just now has a job on its way.
_AGE_SECONDS = 10

chats_set_aside = Counter("paperplane_search_chats_set_aside", "Chats set aside after indexing them failed too often.")
chats_behind = Gauge(
    "paperplane_search_chats_behind",
    "Chats that the last sweep of search found behind.",
    multiprocess_mode="mostrecent",
)


class _Run:
    """What one job or one sweep does: for some seconds, and until API processes are busy unless its chats are overdue.

    A job has its seconds for all of its groups of chats; a sweep, which looks at all groups, for each.
    """

    def __init__(self, since: float, is_sweep: bool) -> None:
        """`since`: when its chats may have begun to wait; asked before any is taken, as others may be taken later."""
        self._since = since
        self._is_sweep = is_sweep
        self._is_time_over = passed(_LONGEST_JOB)
        self.chats = MarkedChats(jobs.INDEX_MESSAGES, take, self._index, chats_set_aside)

    def must_wait(self) -> bool:
        return not is_overdue(self._since) and busy.is_told()

    def is_over(self) -> bool:
        return self._is_time_over() or self.must_wait()

    def _index(self, chat_ids: Sequence[int]) -> None:
        if self._is_sweep:
            self._is_time_over = passed(_LONGEST_JOB)
        left = indexing.index_all(chat_ids, self.is_over)
        # Those of a sweep that need not wait are left to the next one: marked again, they would say so of all others.
        if left and self._since != FOR_LONG:
            # Otherwise the sweep finds them; no chat is to blame for Redis.
            with suppress(RedisError):
                return_chats(left, self._since)
                jobs.mark_for_search(left[0])


def index_marked() -> None:
    """Indexes chats that are marked, for some seconds at most, and none while it must wait for API processes.

    What is left gets a job behind those of the queue, a moment later. Raises RedisError.
    """
    run = _Run(waiting_since(), is_sweep=False)
    if not run.chats.take_all(run.is_over):
        _ask_again()


def _ask_again() -> None:
    left = cast("bytes | None", redis_connections.client().srandmember(jobs.DIRTY_SEARCH))
    if left is not None and left.isdigit():
        # It is marked already: to mark it once more brings the job.
        jobs.mark_for_search(int(left))


def sweep(age_seconds: int = _AGE_SECONDS) -> int:
    """Indexes chats that last changed at least so long ago and are behind; gives how many there were.

    While API processes are busy, it leaves those alone that may wait for them, and where they become so, the rest. Goes
    on where the last one ended, and around: each looks at 50,000 chats. Does nothing while another sweep runs.
    """
    with suppress(RedisError):
        # Notes that no chat is marked: otherwise the first ones after an hour would have waited for an hour.
        waiting_since()
    is_busy = busy.is_told()
    if is_busy:
        age_seconds += settings().search_patience
    with sweeps.only_one(_SWEEP) as alone:
        if not alone:
            return 0
        deadline = time.monotonic() + _LONGEST_RUN
        run = _Run(FOR_LONG if is_busy else time.time(), is_sweep=True)
        with reading() as unit:
            place = sweeps.mark(unit, _SWEEP) or 0
            found = queries.behind(unit, place, _LARGEST_ROUND, age_seconds)
        chats_behind.set(len(found.chat_ids))
        is_done = run.chats.sweep(found.chat_ids, deadline, run.must_wait)
        # What had to wait is where the next sweep begins. What is not done otherwise stays behind for the next round.
        if is_done or not run.must_wait():
            with unit_of_work() as unit:
                sweeps.set_place(unit, _SWEEP, found.last_chat_id or 0)
        return len(found.chat_ids)


def retry_set_aside() -> int:
    """Indexes chats again, now, that were set aside, and looked at since; gives how many there were.

    What is left of them after a second for each group, the sweep finds.
    """
    return _Run(FOR_LONG, is_sweep=True).chats.retry_set_aside()

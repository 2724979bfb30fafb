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
from config import settings

_SWEEP = "search"
# In Redis: when no marked chat was left, in seconds (UTC). What is marked now has waited since then at most.
_NONE_LEFT = "search:none_left"
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


def _is_overdue() -> bool:
    """Whether marked chats may have waited for API processes for too long."""
    with suppress(RedisError):
        none_left = cast("bytes | None", redis_connections.client().get(_NONE_LEFT))
        return abs(time.time() - float(none_left or 0)) >= settings().search_patience
    return True


class _Run:
    """What one job or one sweep does: for some seconds, and until API processes are busy unless its chats are overdue.

    That is decided before any chat is taken: what another job writes meanwhile is not about these. A job has its
    seconds for all of its groups of chats; a sweep, which looks at all groups, for each.
    """

    def __init__(self, is_overdue: bool, is_sweep: bool) -> None:
        self._is_overdue = is_overdue
        self._is_sweep = is_sweep
        self._is_time_over = passed(_LONGEST_JOB)
        self.has_left = False
        self.chats = MarkedChats(jobs.INDEX_MESSAGES, jobs.DIRTY_SEARCH, self._index, chats_set_aside)

    def is_over(self) -> bool:
        return self._is_time_over() or (not self._is_overdue and busy.is_told() and not _is_overdue())

    def _index(self, chat_ids: Sequence[int]) -> None:
        if self._is_sweep:
            self._is_time_over = passed(_LONGEST_JOB)
        left = indexing.index_all(chat_ids, self.is_over)
        if left:
            self.has_left = True
            # Otherwise the sweep finds them; no chat is to blame for Redis.
            with suppress(RedisError):
                self._leave(left)

    def _leave(self, chat_ids: Sequence[int]) -> None:
        """Marks chats for another job. Those that have waited for long enough do not begin anew."""
        redis = redis_connections.client()
        redis.sadd(jobs.DIRTY_SEARCH, *chat_ids)
        if self._is_overdue:
            # A job beside this one may have found none left, as these were taken.
            redis.delete(_NONE_LEFT)
        jobs.mark_for_search(chat_ids[0])


def index_marked() -> None:
    """Indexes chats that are marked, for some seconds at most, and none while it must wait for API processes.

    What is left gets a job behind those of the queue, a moment later. Raises RedisError.
    """
    run = _Run(is_overdue=busy.is_told() and _is_overdue(), is_sweep=False)
    if not run.chats.take_all(run.is_over):
        _ask_again()
    elif not run.has_left:
        redis_connections.client().set(_NONE_LEFT, time.time())


def _ask_again() -> None:
    left = cast("bytes | None", redis_connections.client().srandmember(jobs.DIRTY_SEARCH))
    if left is not None and left.isdigit():
        # It is marked already: to mark it once more brings the job.
        jobs.mark_for_search(int(left))


def sweep(age_seconds: int = _AGE_SECONDS) -> int:
    """Indexes chats that last changed at least so long ago and are behind; gives how many there were.

    While API processes are busy, it leaves those alone that may wait for them. Goes on where the last one ended, and
    around: each looks at 50,000 chats. Does nothing while another sweep runs.
    """
    is_busy = busy.is_told()
    if is_busy:
        age_seconds += settings().search_patience
    with sweeps.only_one(_SWEEP) as alone:
        if not alone:
            return 0
        deadline = time.monotonic() + _LONGEST_RUN
        with reading() as unit:
            place = sweeps.mark(unit, _SWEEP) or 0
            found = queries.behind(unit, place, _LARGEST_ROUND, age_seconds)
        chats_behind.set(len(found.chat_ids))
        # What is not done within the time stays behind, and the next round finds it.
        _Run(is_overdue=is_busy, is_sweep=True).chats.sweep(found.chat_ids, deadline)
        with unit_of_work() as unit:
            sweeps.set_place(unit, _SWEEP, found.last_chat_id or 0)
        return len(found.chat_ids)


def retry_set_aside() -> int:
    """Indexes chats again, now, that were set aside, and looked at since; gives how many there were."""
    return _Run(is_overdue=True, is_sweep=True).chats.retry_set_aside()

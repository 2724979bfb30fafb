"""Which chats are indexed, when: those marked soon, and by the sweep all that were lost on the way.

While API processes are busy neither is done, for SEARCH_PATIENCE at most: on the processors that sends need, indexing
would cost them an eighth. See decision 0038.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from prometheus_client import Counter, Gauge

from app.infra import busy, jobs, sweeps
from app.infra import redis as redis_connections
from app.infra.db import reading, unit_of_work
from app.messages.marked_chats import MarkedChats
from app.search import indexing
from app.search import indexing_queries as queries
from config import settings

_SWEEP = "search"
# In Redis: since when marked chats wait for API processes that are busy, in seconds (UTC).
_WAITING_SINCE = "search:waiting_since"
# Seconds after which a job leaves the rest to another one, so that others have their turn.
_LONGEST_JOB = 5.0
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


def _must_wait() -> bool:
    """Whether API processes are busy, and what is marked has not waited for them for too long."""
    patience = settings().search_patience
    if not patience or not busy.is_told():
        return False
    now = time.time()
    since = cast("bytes | None", redis_connections.client().set(_WAITING_SINCE, now, nx=True, get=True))
    return now < float(since or now) + patience


def _index(chat_ids: Sequence[int]) -> None:
    deadline = time.monotonic() + _LONGEST_JOB
    for chat_id in indexing.index_all(chat_ids, lambda: time.monotonic() >= deadline or _must_wait()):
        jobs.mark_for_search(chat_id)


marked = MarkedChats(jobs.INDEX_MESSAGES, jobs.DIRTY_SEARCH, _index, chats_set_aside, _LONGEST_JOB)


def index_marked() -> None:
    """Indexes chats that were marked, for some seconds at most, and none while it must wait for API processes.

    What is left gets a job behind those of the queue. Raises RedisError.
    """
    redis = redis_connections.client()
    if marked.take_all(_must_wait):
        redis.delete(_WAITING_SINCE)
        return
    left = cast("bytes | None", redis.spop(jobs.DIRTY_SEARCH))
    if left is not None:
        jobs.mark_for_search(int(left))


def sweep(age_seconds: int = _AGE_SECONDS) -> int:
    """Indexes chats that last changed at least so long ago and are behind; gives how many there were.

    Goes on where the last one ended, and around: each looks at 50,000 chats. Does nothing while another sweep runs, nor
    while it must wait for API processes.
    """
    if _must_wait():
        return 0
    with sweeps.only_one(_SWEEP) as alone:
        if not alone:
            return 0
        deadline = time.monotonic() + _LONGEST_RUN
        with reading() as unit:
            place = sweeps.mark(unit, _SWEEP) or 0
            found = queries.behind(unit, place, _LARGEST_ROUND, age_seconds)
        chats_behind.set(len(found.chat_ids))
        # What is not done within the time stays behind, and the next round finds it.
        marked.sweep(found.chat_ids, deadline)
        with unit_of_work() as unit:
            sweeps.set_place(unit, _SWEEP, found.last_chat_id or 0)
        return len(found.chat_ids)

"""Which chats are indexed, when: those marked at once, and by the sweep all that were lost on the way."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge

from app.infra import sweeps
from app.infra.db import reading, unit_of_work
from app.infra.jobs import DIRTY_SEARCH, INDEX_MESSAGES
from app.messages.marked_chats import MarkedChats
from app.search import indexing
from app.search import indexing_queries as queries

_SWEEP = "search"
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

marked = MarkedChats(INDEX_MESSAGES, DIRTY_SEARCH, indexing.index_all, chats_set_aside, _LONGEST_RUN)


def sweep(age_seconds: int = _AGE_SECONDS) -> int:
    """Indexes chats that last changed at least so long ago and are behind; gives how many there were.

    Goes on where the last one ended, and around: each looks at 50,000 chats. Does nothing while another sweep runs.
    """
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

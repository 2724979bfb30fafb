"""How long marked chats have waited for their indexing, at most: what jobs remember of it in Redis, for one another.

No mark says when it was made. But once a job has come to the last one, all that is marked was marked since it began,
or was taken by another job, which may return it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from app.infra import jobs
from app.infra import redis as redis_connections
from app.infra.redis import RedisError
from config import settings

KEY = "search:waiting"
"""A hash in Redis: `since` when marked chats may have waited, in seconds (UTC), and how many `returns` there were."""

_NONE_LEFT = """
if (redis.call('HGET', KEYS[1], 'returns') or '0') == ARGV[2] then redis.call('HSET', KEYS[1], 'since', ARGV[1]) end
"""
_RETURNED = """
redis.call('HINCRBY', KEYS[1], 'returns', 1)
if tonumber(redis.call('HGET', KEYS[1], 'since') or 0) > tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'since', ARGV[1])
end
"""


@dataclass(frozen=True)
class Waiting:
    """What was known when a job began: since when its chats may have waited, in seconds (UTC), and how often jobs had
    returned some by then.
    """

    since: float
    returns: int = 0

    def is_overdue(self) -> bool:
        """Whether they may have waited for SEARCH_PATIENCE by now, which they have where the clock was set back."""
        return abs(time.time() - self.since) >= settings().search_patience


FOR_LONG = Waiting(since=0)
"""Of chats that have waited for too long in any case."""


def begun() -> Waiting:
    """What is known now, before any chat is taken. Where Redis has lost it, or is away, all have waited for long."""
    with suppress(RedisError):
        since, returns = cast("list[bytes | None]", redis_connections.client().hmget(KEY, "since", "returns"))
        return Waiting(float(since or 0), int(returns or 0))
    return FOR_LONG


def note_none_left(since: float, before: Waiting) -> None:
    """Notes that a job, which had begun at `since` and seen `before`, has left no mark; raises RedisError.

    Not where others have returned chats meanwhile: it may have missed those.
    """
    redis_connections.client().eval(_NONE_LEFT, 1, KEY, since, before.returns)


def return_chats(chat_ids: Collection[int], before: Waiting) -> None:
    """Marks chats again that a job has taken and not finished; raises RedisError.

    They have waited since before it began, whatever others have noted meanwhile.
    """
    redis = redis_connections.client()
    redis.sadd(jobs.DIRTY_SEARCH, *chat_ids)
    redis.eval(_RETURNED, 1, KEY, before.since)

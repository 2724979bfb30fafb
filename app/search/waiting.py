"""How long marked chats have waited for their indexing, at most: since when, as jobs tell one another in Redis.

No mark says when it was made. But what is marked once a job has taken the last of them, or a sweep has found none, was
marked since then, unless it was taken before and is returned.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import cast

from app.infra import jobs
from app.infra import redis as redis_connections
from config import settings

KEY = "search:waiting_since"
"""In Redis: since when a marked chat may have waited, in seconds (UTC)."""
FOR_LONG = 0.0
"""Since when those have waited that need not wait any more."""

# In one step each: otherwise chats are marked just when a sweep notes that there are none, or one job may return some
# just when another notes that it has taken the last ones.
_SINCE = """
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SET', KEYS[2], ARGV[1])
end
return redis.call('GET', KEYS[2])
"""
_TAKE = """
local taken = redis.call('SPOP', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SET', KEYS[2], ARGV[2]) end
return taken
"""
_RETURN = """
redis.call('SADD', KEYS[1], unpack(ARGV, 2))
local noted = redis.call('GET', KEYS[2])
if not noted or tonumber(noted) > tonumber(ARGV[1]) then redis.call('SET', KEYS[2], ARGV[1]) end
"""


def waiting_since() -> float:
    """Since when marked chats may have waited: seconds (UTC); raises RedisError.

    From now on where none is marked, and where Redis has lost it, as it has lost the marks too.
    """
    since = redis_connections.client().eval(_SINCE, 2, jobs.DIRTY_SEARCH, KEY, time.time())
    return float(cast("bytes", since))


def is_overdue(since: float) -> bool:
    """Whether SEARCH_PATIENCE has passed since then, which it has as well where the clock was set back by so much."""
    return abs(time.time() - since) >= settings().search_patience


def take(most: int) -> list[bytes]:
    """Takes marked chats, their ids; raises RedisError. What is marked once none is left waits from now on."""
    taken = redis_connections.client().eval(_TAKE, 2, jobs.DIRTY_SEARCH, KEY, most, time.time())
    return cast("list[bytes]", taken)


def return_chats(chat_ids: Collection[int], since: float) -> None:
    """Marks chats again that a job has taken and not finished; they have waited since then. Raises RedisError."""
    redis_connections.client().eval(_RETURN, 2, jobs.DIRTY_SEARCH, KEY, since, *chat_ids)

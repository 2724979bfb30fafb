"""Rate limits per user and action, counted in Redis; open when Redis is away.

The generic cell rate algorithm (ITU-T I.371, annex A, "virtual scheduling"; its use for APIs is described in Brandur
Leach, "Rate Limiting, Cells, and GCRA", https://brandur.org/rate-limiting): one time per key, the theoretical arrival
of the next use if uses came evenly. A use is refused when that lies further ahead than the whole window. So a user may
spend the whole allowance at once, and then gets it back evenly instead of at the end of a window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import Counter
from redis.exceptions import NoScriptError

from app.errors import RateLimited
from app.infra.combiner import Combiner
from app.infra.redis import Breaker, limits_client
from config import Settings, settings

_MICROSECONDS = 1_000_000

# Redis' own clock, so that API hosts need not agree; microseconds are below 2^53 and so exact in Lua's doubles.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + interval
local wait = arrival - window - now
if wait > 0 then
  return math.ceil(wait)
end
redis.call('SET', KEYS[1], arrival, 'PX', math.ceil((arrival - now) / 1000))
return 0
"""
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

_LANES = 2
_LARGEST_BATCH = 100

_breaker = Breaker()
unlimited_total = Counter(
    "paperplane_rate_limit_unlimited", "Uses let through uncounted because Redis was away.", ("action",)
)
limited_total = Counter("paperplane_rate_limit_refused", "Uses refused by a rate limit.", ("action",))


class _Use(NamedTuple):
    """One use to count, with the pace of its action in microseconds."""

    key: str
    interval: int
    window: int


def limit_action(user_id: int, action: str, uses: int = 1) -> None:
    """Counts uses of `action` by the user; raises RateLimited with the seconds to wait, KeyError for no such action.

    More uses at once than the whole allowance count as all of it, since they could never be had otherwise. Where Redis
    does not answer the use is let through: a limit protects the service and must not be what ends it.
    """
    current = settings()
    if not current.rate_limit_enabled:
        return
    interval, window = _pace(action, current)
    interval = min(interval * uses, window)
    use = _Use(f"ratelimit:{user_id}:{action}", interval, window)
    wait = _combiner().submit(use)
    if wait is None:
        unlimited_total.labels(action).inc()
    elif wait:
        limited_total.labels(action).inc()
        raise RateLimited(retry_after=-(-wait // _MICROSECONDS))


def _pace(action: str, current: Settings) -> tuple[int, int]:
    """Microseconds from one use to the next at an even rate, and of the whole window."""
    allowed = _allowances(current)[action]
    window = current.rate_limit_window * _MICROSECONDS
    return window // allowed, window


def _allowances(current: Settings) -> dict[str, int]:
    """The uses of each action in RATE_LIMIT_WINDOW."""
    return {
        "requests": current.rate_limit_requests,
        "messages": current.rate_limit_messages,
        "searches": current.rate_limit_searches,
        "presence": current.rate_limit_presence,
        "typing": current.rate_limit_typing,
    }


@lru_cache(maxsize=1)
def _combiner() -> Combiner[_Use, int | None]:
    """What asks at the same moment goes in one round trip, of which each costs some 200 us by itself."""
    return Combiner(_take, _LANES, _LARGEST_BATCH)


def _take(uses: Sequence[_Use]) -> Sequence[int | Exception | None]:
    """Microseconds to wait for each, 0 where the use was counted, None where Redis does not answer.

    The breaker is in here, so that batches which wait behind one that failed do not wait for Redis as well.
    """
    unanswered: Sequence[int | Exception | None] = [None] * len(uses)
    return _breaker.call(lambda: _counted(uses), unanswered)


def _counted(uses: Sequence[_Use]) -> Sequence[int | Exception | None]:
    """Asks Redis; loads the script into one that forgot it."""
    answers = _ask(uses)
    forgotten = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if forgotten:
        limits_client().script_load(_SCRIPT)
        for index, answer in zip(forgotten, _ask([uses[index] for index in forgotten]), strict=True):
            answers[index] = answer
    return answers


def _ask(uses: Sequence[_Use]) -> list[int | Exception]:
    with limits_client().pipeline(transaction=False) as pipeline:
        for use in uses:
            pipeline.evalsha(_SCRIPT_SHA, 1, *use)
        return pipeline.execute(raise_on_error=False)

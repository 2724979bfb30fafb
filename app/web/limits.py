"""Rate limits per user and action: counted here at once, and behind that in Redis for all processes together.

The generic cell rate algorithm (ITU-T I.371, annex A, "virtual scheduling"; its use for APIs is described in Brandur
Leach, "Rate Limiting, Cells, and GCRA", https://brandur.org/rate-limiting): one time per key, the theoretical arrival
of the next use if uses came evenly. A use is refused when that lies further ahead than the whole window. So a user may
spend the whole allowance at once, and then gets it back evenly instead of at the end of a window.

No use waits for Redis. What it answers, the arrival that the uses at all processes make, is what the next use here is
measured by; so a user gets no more than one use too many for each further process, and those made within some 20
milliseconds. While Redis is away each process counts by itself.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import OrderedDict
from functools import lru_cache, partial
from typing import NamedTuple

from prometheus_client import Counter
from redis.exceptions import NoScriptError

from app.errors import RateLimited
from app.infra.redis_writer import RedisWriter
from config import Settings, settings

_MICROSECONDS = 1_000_000
# Seconds in which uses gather before Redis is told of them.
_LINGER = 0.02
# Keys of which this process knows the arrival; the use after one was forgotten is measured by nothing.
_LARGEST_MEMORY = 50_000

# Counts a use unless that is refused, and answers in how many microseconds the arrival of the next use lies then.
# Redis' own clock, so that API hosts need not agree; microseconds are below 2^53 and so exact in Lua's doubles.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local before = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local arrival = before + tonumber(ARGV[1])
if arrival - now > tonumber(ARGV[2]) then
  return math.ceil(before - now)
end
redis.call('SET', KEYS[1], arrival, 'PX', math.ceil((arrival - now) / 1000))
return math.ceil(arrival - now)
"""
_SCRIPT_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()

alone_total = Counter(
    "paperplane_rate_limit_alone", "Uses that only this process has counted, since Redis did not answer.", ("action",)
)
limited_total = Counter("paperplane_rate_limit_refused", "Uses refused by a rate limit.", ("action",))


class _Use(NamedTuple):
    """One use to count, with the pace of its action in microseconds."""

    user_id: int
    action: str
    interval: int
    window: int

    @property
    def key(self) -> str:
        """Where Redis keeps the arrival."""
        return f"ratelimit:{self.user_id}:{self.action}"


class Limiter:
    """The arrivals that this process knows, in microseconds of its own clock, and the way to Redis."""

    def __init__(self) -> None:
        self._arrivals: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._writer = RedisWriter(lambda: settings().limits_redis, keeps=False, linger=_LINGER)

    def take(self, use: _Use) -> int:
        """Counts a use; 0, or the microseconds to wait where it is refused, which costs nothing."""
        now = _now()
        with self._lock:
            arrival = max(self._arrivals.get(use.key, now), now) + use.interval
            if arrival - now > use.window:
                return arrival - now - use.window
            self._learn(use.key, arrival)
        self._ask(use, "EVALSHA", _SCRIPT_SHA)
        return 0

    def flush(self, timeout: float) -> bool:
        """Waits until Redis has answered for all uses, at most `timeout` seconds; tells whether it has."""
        return self._writer.flush(timeout)

    def _ask(self, use: _Use, command: str, script: str) -> None:
        self._writer.submit(
            command, script, 1, use.key, use.interval, use.window, on_answer=partial(self._take_answer, use)
        )

    def _take_answer(self, use: _Use, answer: int | Exception) -> None:
        if isinstance(answer, NoScriptError):
            self._ask(use, "EVAL", _SCRIPT)
        elif isinstance(answer, Exception):
            alone_total.labels(use.action).inc()
        else:
            # Uses that are still on their way are in the own figure only, those of other processes in the other.
            with self._lock:
                self._learn(use.key, max(self._arrivals.get(use.key, 0), _now() + answer))

    def _learn(self, key: str, arrival: int) -> None:
        self._arrivals[key] = arrival
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > _LARGEST_MEMORY:
            self._arrivals.popitem(last=False)


def _now() -> int:
    return time.monotonic_ns() // 1000


@lru_cache(maxsize=1)
def _limiter() -> Limiter:
    return Limiter()


def limit_action(user_id: int, action: str, uses: int = 1) -> None:
    """Counts uses of `action` by the user; raises RateLimited with the seconds to wait, KeyError for no such action.

    More uses at once than the whole allowance count as all of it, since they could never be had otherwise.
    """
    current = settings()
    if not current.rate_limit_enabled:
        return
    interval, window = _pace(action, current)
    wait = _limiter().take(_Use(user_id, action, min(interval * uses, window), window))
    if wait:
        limited_total.labels(action).inc()
        raise RateLimited(retry_after=math.ceil(wait / _MICROSECONDS))


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
        "uploads": current.rate_limit_uploads,
        "downloads": current.rate_limit_downloads,
        "presence": current.rate_limit_presence,
        "typing": current.rate_limit_typing,
        "receipts": current.rate_limit_receipts,
        "calls": current.rate_limit_calls,
        "call_signals": current.rate_limit_call_signals,
    }

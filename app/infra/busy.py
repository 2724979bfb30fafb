"""Whether API processes are busy, which they tell in Redis: what can wait leaves them the processors meanwhile.

A process is busy in a second in which it has used more than BUSY_PERCENT of a processor, whatever for. What it tells
is forgotten soon, so one that dies or has nothing to do is busy no longer.
"""

from __future__ import annotations

import time
from contextlib import suppress

from app.infra import redis as redis_connections
from app.infra.redis import RedisError
from config import settings

TOLD = "api:busy"
"""The key in Redis that is there while some process is busy."""

_PERIOD_SECONDS = 1.0
# Longer than a period, however late a process that is busy comes to tell it again.
_LASTS_MS = 2_500


class Load:
    """How much of a processor this process uses."""

    def __init__(self) -> None:
        """Begins to measure."""
        self._moment, self._used = time.monotonic(), time.process_time()

    def share(self) -> float:
        """Processors that were used on average since the last call, all threads together."""
        moment, used = time.monotonic(), time.process_time()
        share = (used - self._used) / max(moment - self._moment, 1e-9)
        self._moment, self._used = moment, used
        return share


def keep_telling() -> None:
    """Tells each second if this process is busy; never returns. A Redis that is away is not told."""
    load = Load()
    while True:
        time.sleep(_PERIOD_SECONDS)
        if load.share() * 100 > settings().busy_percent:
            with suppress(RedisError):
                redis_connections.client().set(TOLD, 1, px=_LASTS_MS)


def is_told() -> bool:
    """Whether some API process is busy; False where Redis is away."""
    with suppress(RedisError):
        return bool(redis_connections.client().exists(TOLD))
    return False

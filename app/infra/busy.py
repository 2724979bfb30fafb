"""Whether API processes are busy, which they tell in Redis: what can wait leaves them the processors meanwhile.

Each process tells what it has used of a processor in each of the last two quarters of a second at least, whatever for:
a moment of work, such as some people who sign in, makes nobody busy. They are busy while those on one machine use more
than BUSY_PERCENT of its processors together, and for a moment after. What is told is forgotten soon, so a process that
dies is not counted.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

from app.infra import redis as redis_connections
from app.infra.redis import RedisError
from config import settings


def _machine() -> str:
    """A name that is one for all containers of a machine, where its system tells one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


TOLD = "api:busy"
"""The key in Redis that is there while the processes of some machine are busy together."""
SHARES = f"api:shares:{_machine()}"
"""A hash in Redis, of this machine: for each process that is not idle, when it told its share, in milliseconds, and
that in percent of one processor."""

_PERIOD_SECONDS = 0.25
# Of one processor; a process that uses less is idle.
_LEAST_PERCENT = 5
# How long a share counts: several periods, as a process that has much to do comes late to tell the next one.
_COUNTS_MS = 1_000
# Longer than the pauses of a load that comes in bursts.
_LASTS_MS = 2_500

# In one step: each process sees the shares of those that have told before it, so the last one sees the sum. The clock
# is that of Redis, so that machines need not agree.
_TELL = """
local time = redis.call('TIME')
local now, counts = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
redis.call('PEXPIRE', KEYS[1], counts)
local sum = 0
local shares = redis.call('HGETALL', KEYS[1])
for i = 1, #shares, 2 do
  local told, percent = string.match(shares[i + 1], '^(%d+) (%d+)$')
  if math.abs(now - tonumber(told)) < counts then sum = sum + tonumber(percent)
  else redis.call('HDEL', KEYS[1], shares[i]) end
end
if sum > tonumber(ARGV[4]) then redis.call('SET', KEYS[2], 1, 'PX', ARGV[5]) end
"""


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
    """Tells four times a second what this process uses, and once that it is idle again; never returns."""
    load, process = Load(), secrets.token_hex(8)
    before, told = 0.0, 0
    while True:
        time.sleep(_PERIOD_SECONDS)
        now = load.share() * 100
        percent, before = round(min(before, now)), now
        if percent < _LEAST_PERCENT:
            percent = 0
        if percent or told:
            tell(process, percent)
        told = percent


def tell(process: str, percent: int) -> None:
    """Tells the share of one process, in percent of one processor. A Redis that is away is not told."""
    most = settings().busy_percent * _processors()
    with suppress(RedisError):
        redis_connections.client().eval(_TELL, 2, SHARES, TOLD, process, percent, _COUNTS_MS, most, _LASTS_MS)


def _processors() -> int:
    """Those of the machine, as what its processes use is added up: not those that this one may use."""
    return os.cpu_count() or 1


def is_told() -> bool:
    """Whether API processes are busy; False where Redis is away."""
    with suppress(RedisError):
        return bool(redis_connections.client().exists(TOLD))
    return False

"""Whether Redis still has all leases: every hub notes in Redis that its own are there, and an emptied one has no note.

`presence:hubs` is a sorted set of the hubs of all processes, scored by when each noted itself last, in milliseconds by
the clock of Redis; below 0 while a hub is putting its leases there anew. Emptying Redis breaks no subscription: where
fewer hubs have noted themselves than listen, somebody's leases may be missing. `presence:since` is when a hub last said
that its own are: once that is as long ago as a lease lasts, every hub has renewed its own, whoever else listens.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.client import Pipeline

from app.infra.redis import Breaker, client
from app.infra.redis_writer import RESYNC_CHANNEL

HUBS = "presence:hubs"
SINCE = "presence:since"

# `keep` answers whether the note was still there, `begin` takes it back, and `finish` puts it there, if Redis was not
# emptied since the begin. Notes of processes that are gone hide nothing: an emptied Redis has none of them either.
_NOTE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 60000 - now, now - 600000)
if ARGV[2] == 'begin' then
  redis.call('ZADD', KEYS[1], -now, ARGV[1])
  redis.call('SET', KEYS[2], string.format('%.0f', now))
  return 1
end
if held == 0 or (ARGV[2] == 'keep' and held < 0) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[1])
return 1
"""

_breaker = Breaker()


def keep(hub_id: str) -> bool:
    """Renews a hub's note; False where there is none, or Redis does not answer."""
    return _note(hub_id, "keep")


def begin(hub_id: str) -> bool:
    """Takes a hub's note back, until it has put its leases there; False where Redis does not answer."""
    return _note(hub_id, "begin")


def finish(hub_id: str) -> bool:
    """Notes that a hub's leases are there; False where Redis was emptied again since `begin`, or does not answer."""
    return _note(hub_id, "finish")


def _note(hub_id: str, step: str) -> bool:
    return bool(_breaker.call(lambda: client().eval(_NOTE, 2, HUBS, SINCE, hub_id, step), 0))


def ask(pipeline: Pipeline) -> None:
    """Asks for what `are_all_there` needs; three answers."""
    pipeline.zcount(HUBS, 1, "+inf")
    pipeline.pubsub_numsub(RESYNC_CHANNEL)
    pipeline.get(SINCE)


def are_all_there(
    noted: int, listening: Sequence[tuple[bytes, int]], since: bytes | None, now: int, lease: int
) -> bool:
    """Whether Redis has all hubs' leases, `now` by its clock, where a lease lasts so long; both in milliseconds."""
    return noted >= listening[0][1] or (since is not None and now - int(since) > lease)

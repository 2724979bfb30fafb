"""Who is online: a lease for each connection in Redis, so that a crash leaves nothing behind.

`session:{user_id}` is a hash of connection → `expiry status` and the status that the person shows in all;
`online:users` is a sorted set of people scored by their latest lease's expiry. Times are Unix milliseconds.
When Redis is away everybody counts as offline.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from redis.commands.core import Script

from app.infra.redis import Breaker, client

Status = Literal["online", "away", "offline"]

_ONLINE = "online:users"
_SWEEP_BATCH = 500

# Renews, changes or ends one connection's lease (or, without a connection, only drops expired ones) and answers the
# status shown before and after, so that exactly one caller sees each change.
_LEASE = """
local hash, online, user = KEYS[1], KEYS[2], ARGV[1]
local connection, now, expiry, status = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local before = redis.call('HGET', hash, 'shown') or 'offline'
if connection ~= '' then
  if status == '' then redis.call('HDEL', hash, connection)
  else
    if status == 'keep' then
      local held = redis.call('HGET', hash, connection)
      status = held and string.match(held, ' (%a+)$') or 'online'
    end
    redis.call('HSET', hash, connection, expiry .. ' ' .. status)
  end
end
local after, latest = 'offline', 0
local fields = redis.call('HGETALL', hash)
for i = 1, #fields, 2 do
  if fields[i] ~= 'shown' then
    local until_ms, held = string.match(fields[i + 1], '^(%d+) (%a+)$')
    until_ms = tonumber(until_ms)
    if until_ms <= now then redis.call('HDEL', hash, fields[i])
    elseif held ~= 'offline' then
      if until_ms > latest then latest = until_ms end
      if held == 'online' or after == 'offline' then after = held end
    end
  end
end
if after == 'offline' then redis.call('ZREM', online, user) else redis.call('ZADD', online, latest, user) end
redis.call('HSET', hash, 'shown', after)
redis.call('PEXPIRE', hash, 600000)
return {before, after}
"""


class Change(NamedTuple):
    """What a person showed before and after."""

    before: Status
    after: Status


_UNCHANGED = Change("offline", "offline")
_breaker = Breaker()


@lru_cache(maxsize=1)
def _lease() -> Script:
    return client().register_script(_LEASE)


def _now() -> int:
    return int(time.time() * 1000)


def _run(user_id: int, connection_id: str, lease_seconds: int, status: str) -> Change:
    now = _now()
    arguments = (user_id, connection_id, now, now + lease_seconds * 1000, status)
    before, after = _lease()(keys=(f"session:{user_id}", _ONLINE), args=arguments)
    return Change(before.decode(), after.decode())


def renew(user_id: int, connection_id: str, lease_seconds: int, status: Status | None = None) -> Change:
    """Keeps a connection's lease for `lease_seconds`, with a new status or the one that it has."""
    return _breaker.call(lambda: _run(user_id, connection_id, lease_seconds, status or "keep"), _UNCHANGED)


def end(user_id: int, connection_id: str) -> Change:
    """Ends a connection's lease."""
    return _breaker.call(lambda: _run(user_id, connection_id, 0, ""), _UNCHANGED)


def expired() -> list[int]:
    """People whose last lease ran out and who were not yet told to be offline, at most 500."""
    return _breaker.call(_expired, [])


def _expired() -> list[int]:
    found = cast(list[bytes], client().zrangebyscore(_ONLINE, "-inf", _now(), start=0, num=_SWEEP_BATCH))
    return [int(user) for user in found]


def settle(user_id: int) -> Change:
    """Drops a person's expired leases."""
    return _breaker.call(lambda: _run(user_id, "", 0, ""), _UNCHANGED)


def online(user_ids: Collection[int]) -> set[int]:
    """Those of `user_ids` who are online or away."""
    wanted = list(user_ids)
    if not wanted:
        return set()
    unknown: list[float | None] = []
    scores = _breaker.call(lambda: _scores(wanted), unknown)
    now = _now()
    return {user for user, score in zip(wanted, scores, strict=False) if score is not None and score > now}


def _scores(user_ids: list[int]) -> list[float | None]:
    return client().zmscore(_ONLINE, [str(user) for user in user_ids])


def statuses(user_ids: Collection[int]) -> dict[int, Status]:
    """The status of each person; `offline` for whoever is not known to be online."""
    shown: dict[int, Status] = dict.fromkeys(user_ids, "offline")
    present = list(online(user_ids))
    if present:
        unknown: list[Status] = []
        shown.update(zip(present, _breaker.call(lambda: _shown(present), unknown), strict=False))
    return shown


def _shown(user_ids: list[int]) -> list[Status]:
    with client().pipeline(transaction=False) as pipeline:
        for user in user_ids:
            pipeline.hget(f"session:{user}", "shown")
        return [cast(Status, (status or b"offline").decode()) for status in pipeline.execute()]

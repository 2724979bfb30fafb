"""What the devices of a call have to say to each other, in Redis until the other one has it.

`call:{id}:to:{user_id}` is a stream: signals in the order in which they were said, for a while. Each socket of the
device reads on from the last one that it has, so nothing comes twice or out of order over one socket, and a socket that
comes up later begins with what is kept. When Redis is away nothing is taken: Unavailable. Both go with the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

from redis.commands.core import Script

from app.errors import RateLimited, Unavailable
from app.infra.db import UnitOfWork
from app.infra.redis import RedisError, client
from app.infra.redis_writer import writer
from config import settings

# Signals older than ARGV[1] milliseconds are forgotten first; no more than ARGV[2] are kept, of ARGV[4] bytes together.
# Each has beside it how many bytes were said up to its end, so that the first and the last one tell what all have.
_PUT = """
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d', oldest))
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[2]) then return false end
local size, said, kept = string.len(ARGV[3]), 0, 0
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if first then
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  said = tonumber(last[2][4] or 0)
  kept = said - tonumber(first[2][4] or 0) + string.len(first[2][2])
end
if kept + size > tonumber(ARGV[4]) then return false end
local id = redis.call('XADD', KEYS[1], '*', 'signal', ARGV[3], 'said', string.format('%d', said + size))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return id
"""
_TAKE = """
local time = redis.call('TIME')
local oldest = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d', oldest))
return redis.call('XRANGE', KEYS[1], ARGV[2], '+')
"""
# Ids of signals are made from Redis' own: milliseconds since 2025-01-01T00:00Z, then 12 bits for those of the same one.
_EPOCH = 1_735_689_600_000
_SEQUENCE_BITS = 12


class Signal(NamedTuple):
    """What was said, as JSON; `id` grows, and is below 2^53."""

    id: int
    content: bytes


@lru_cache(maxsize=1)
def _put() -> Script:
    return client().register_script(_PUT)


@lru_cache(maxsize=1)
def _take() -> Script:
    return client().register_script(_TAKE)


def put(call_id: int, user_id: int, content: bytes) -> None:
    """Keeps a signal for a person's device; raises RateLimited where too many wait, or Unavailable without Redis."""
    current = settings()
    kept_for, largest = current.call_signal_expiry * 1000, int(current.call_signals_size)
    arguments = (kept_for, current.call_signals_waiting, content, largest)
    try:
        kept = _put()(keys=(_key(call_id, user_id),), args=arguments, client=client())
    except (RedisError, OSError) as error:
        raise Unavailable from error
    if kept is None:
        raise RateLimited("Too many signals in this call: wait.", retry_after=current.call_signal_expiry)


def waiting(call_id: int, user_id: int, after: int) -> list[Signal]:
    """What is kept for a person's device past the signal `after`, in order; raises Unavailable without Redis."""
    start = f"({(after >> _SEQUENCE_BITS) + _EPOCH}-{after & (1 << _SEQUENCE_BITS) - 1}" if after else "-"
    try:
        found = _take()(
            keys=(_key(call_id, user_id),), args=(settings().call_signal_expiry * 1000, start), client=client()
        )
    except (RedisError, OSError) as error:
        raise Unavailable from error
    return [_signal(*entry) for entry in cast(list[tuple[bytes, list[bytes]]], found)]


def forget(unit: UnitOfWork, call_id: int, user_ids: Sequence[int]) -> None:
    """Removes what is kept for these people once the unit has committed; what stays, Redis being away, expires."""
    keys = [_key(call_id, user_id) for user_id in user_ids]
    unit.after_commit(lambda: writer().submit("UNLINK", *keys))


def _signal(stream_id: bytes, fields: list[bytes]) -> Signal:
    milliseconds, sequence = stream_id.split(b"-")
    return Signal((int(milliseconds) - _EPOCH << _SEQUENCE_BITS) | int(sequence), fields[1])


def _key(call_id: int, user_id: int) -> str:
    return f"call:{call_id}:to:{user_id}"

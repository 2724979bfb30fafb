"""What Redis does in one step with the keys of presence.py."""

from __future__ import annotations

# Renews, changes or ends one connection's lease (or, without a connection, only drops expired ones) and answers the
# status shown before and after, so that exactly one caller sees each change. The change is noted as untold in the same
# step: whoever made it may die, or find PostgreSQL away, before it has told anybody.
LEASE = """
local hash, connected, untold = KEYS[1], KEYS[2], KEYS[3]
local user, connection, lease, status = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HGET', hash, 'shown') or 'offline'
if connection ~= '' then
  if status == '' then redis.call('HDEL', hash, connection)
  else redis.call('HSET', hash, connection, string.format('%.0f %s', now + lease, status)) end
end
local after, latest = 'offline', 0
local fields = redis.call('HGETALL', hash)
for i = 1, #fields, 2 do
  if fields[i] ~= 'shown' then
    local until_ms, held = string.match(fields[i + 1], '^(%d+) (%a+)$')
    until_ms = tonumber(until_ms)
    if until_ms <= now then redis.call('HDEL', hash, fields[i])
    else
      if until_ms > latest then latest = until_ms end
      if held == 'online' or after == 'offline' then after = held end
    end
  end
end
if latest == 0 then
  redis.call('ZREM', connected, user)
  redis.call('DEL', hash)
else
  redis.call('ZADD', connected, latest, user)
  redis.call('HSET', hash, 'shown', after)
  redis.call('PEXPIRE', hash, 86400000)
end
local mark = ''
if before ~= after then
  mark = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('ZADD', untold, mark, user)
end
return {before, after, mark}
"""

# Takes people out of the untold, each unless the mark is that of a later change.
TOLD = """
for i = 1, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or 0) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
"""

# Notes a person as untold once more, from now on, and answers the mark of that.
REMAIN = """
local time = redis.call('TIME')
local mark = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('ZADD', KEYS[1], mark, ARGV[1])
return mark
"""

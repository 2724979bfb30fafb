"""Who is there: a lease for each connection in Redis, so that a crash leaves nothing behind.

`session:{user_id}` is a hash of lease → `expiry status` and the status that the person shows in all; a lease is named
`SESSION:CONNECTION`, after the device that is signed in and its socket.
`online:users` is a sorted set of people who have a socket, whatever they show, scored by their latest lease's expiry.
`presence:untold` is a sorted set of people whose change nobody has told yet, scored by when it was.
Times are by the clock of Redis, so that hosts need not agree: expiries in Unix milliseconds, changes in microseconds.
When Redis is away everybody is shown as offline, and who has a socket is not known (None). Nor is it for a while where
Redis was emptied and not all hubs have put their leases back, see hub_notes.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Literal, NamedTuple, cast

from redis.client import Pipeline
from redis.exceptions import NoScriptError

from app.infra import hub_notes
from app.infra.lease_scripts import LEASE, REMAIN, TOLD
from app.infra.redis import Breaker, RedisError, client
from app.infra.redis_batches import RedisAway, RedisBatches
from config import settings

Status = Literal["online", "away", "offline"]

_CONNECTED = "online:users"
_UNTOLD = "presence:untold"
_BATCH = 1000
SWEEP_BATCH = 500
"""How many people a sweep is given at a time."""
# Seconds in which whoever made a change is expected to tell it.
_TELLING_SECONDS = 10

_LEASE_SHA = hashlib.sha1(LEASE.encode(), usedforsecurity=False).hexdigest()


class Change(NamedTuple):
    """What a person showed before and after; where that differs, the change is untold until `told` gets its mark."""

    before: Status
    after: Status
    mark: str = ""


class Untold(NamedTuple):
    """A person of whose change nobody was told, the mark of that, and how long ago it was."""

    user_id: int
    mark: str
    seconds_ago: float


UNKNOWN = Change("offline", "offline")
"""What comes of a lease that Redis did not take."""

# That Redis is away, or that it answers but takes nothing, as one without memory or a copy that only reads.
_FAILURES = (RedisAway, RedisError, OSError)

_breaker = Breaker()
_batches = RedisBatches()


def lease_seconds() -> int:
    """How long a lease outlives its last renewal: a heartbeat, and most of another for what may be late.

    A renewal that Redis did not take is made up for as soon as it answers, see lease_keeper.py. Who is gone with the
    process is told to be within a minute: this, the pause between two sweeps, and as long in the queue.
    """
    heartbeat = settings().ws_heartbeat
    return 2 * heartbeat - heartbeat // 5


def _ask_script(*arguments: str | int) -> tuple[bytes, bytes, bytes]:
    try:
        answer: tuple[bytes, bytes, bytes] = _batches.ask("EVALSHA", _LEASE_SHA, *arguments)
    except NoScriptError:
        answer = _batches.ask("EVAL", LEASE, *arguments)
    return answer


class Lease(NamedTuple):
    """A connection of a person, and the status that it shows."""

    user_id: int
    connection_id: str
    status: str


def _arguments(lease: Lease, seconds: int) -> tuple[str | int, ...]:
    """What the script is given: how many keys, the keys, and the rest."""
    keys = (f"session:{lease.user_id}", _CONNECTED, _UNTOLD)
    return (len(keys), *keys, lease.user_id, lease.connection_id, seconds * 1000, lease.status)


def _run(user_id: int, connection_id: str, seconds: int, status: str) -> Change:
    try:
        before, after, mark = _ask_script(*_arguments(Lease(user_id, connection_id, status), seconds))
    except _FAILURES:
        return UNKNOWN
    return Change(cast(Status, before.decode()), cast(Status, after.decode()), mark.decode())


def renew(user_id: int, connection_id: str, seconds: int, status: Status) -> Change:
    """Keeps a connection's lease for so many seconds, with what it shows."""
    return _run(user_id, connection_id, seconds, status)


def put_back(leases: Sequence[Lease], seconds: int) -> bool:
    """Renews many leases, which Redis may have lost; whether it took all.

    Changes stay noted as untold: nobody was told that these people went, but some may have looked.
    """
    return _breaker.call(lambda: _put_back(leases, seconds), False)


def _put_back(leases: Sequence[Lease], seconds: int) -> bool:
    for start in range(0, len(leases), _BATCH):
        with client().pipeline(transaction=False) as pipeline:
            pipeline.script_load(LEASE)
            for lease in leases[start : start + _BATCH]:
                pipeline.execute_command("EVALSHA", _LEASE_SHA, *_arguments(lease, seconds))
            pipeline.execute()
    return True


def end(user_id: int, connection_id: str) -> Change:
    """Ends a connection's lease."""
    return _run(user_id, connection_id, 0, "")


def expired() -> list[int]:
    """People whose last lease ran out without being ended, at most 500."""
    return _breaker.call(_expired, [])


def _expired() -> list[int]:
    now = _milliseconds(client().time())
    found = cast(list[bytes], client().zrangebyscore(_CONNECTED, "-inf", now, start=0, num=SWEEP_BATCH))
    return [int(user) for user in found]


def settle(user_id: int) -> Change:
    """Drops a person's expired leases."""
    return _run(user_id, "", 0, "")


def untold() -> list[Untold]:
    """People whose change should have been told by now, the longest ago first, at most 500."""
    return _breaker.call(_untold, [])


def _untold() -> list[Untold]:
    now = _microseconds(client().time())
    latest = now - _TELLING_SECONDS * 1_000_000
    found = client().zrangebyscore(_UNTOLD, "-inf", latest, start=0, num=SWEEP_BATCH, withscores=True)
    marks = cast(list[tuple[bytes, float]], found)
    return [Untold(int(user), str(int(mark)), (now - mark) / 1_000_000) for user, mark in marks]


def told(marks: Mapping[int, str]) -> None:
    """Notes that the changes with these marks have been told, where they are still the people's latest."""
    pairs = [part for user_id, mark in marks.items() if mark for part in (str(user_id), mark)]
    if pairs:
        _breaker.call(lambda: client().eval(TOLD, 1, _UNTOLD, *pairs), None)


def remain_untold(user_id: int) -> str:
    """Notes that what a person shows is to be told once more; the mark of that, empty where Redis fails."""
    try:
        # Where many leave at once this is asked of many: apart, each would take a connection of its own.
        mark: bytes = _batches.ask("EVAL", REMAIN, 1, _UNTOLD, user_id)
    except _FAILURES:
        return ""
    return mark.decode()


def connected(user_ids: Collection[int]) -> set[int] | None:
    """Those of `user_ids` who have a socket, whatever they show; None where Redis does not tell."""
    unknown: set[int] | None = None
    return _breaker.call(lambda: _connected(list(user_ids)), unknown)


def _connected(user_ids: list[int]) -> set[int] | None:
    with client().pipeline(transaction=False) as pipeline:
        _ask_leases(pipeline, user_ids)
        # Last: where Redis is emptied in between, it is for this answer.
        hub_notes.ask(pipeline)
        time, *scores, noted, listening, since = pipeline.execute()
    are_all_there = hub_notes.are_all_there(noted, listening, since, _milliseconds(time), lease_seconds() * 1000)
    return _with_lease(user_ids, scores, _milliseconds(time)) if are_all_there else None


def _ask_leases(pipeline: Pipeline, user_ids: Sequence[int]) -> None:
    """Asks for the time, and for the latest leases of people, answered in batches."""
    pipeline.time()
    for start in range(0, len(user_ids), _BATCH):
        pipeline.zmscore(_CONNECTED, [str(user) for user in user_ids[start : start + _BATCH]])


def _with_lease(user_ids: Sequence[int], scores: Sequence[Sequence[float | None]], now: int) -> set[int]:
    ends = zip(user_ids, chain.from_iterable(scores), strict=True)
    return {user for user, end in ends if end is not None and end > now}


def _milliseconds(time: tuple[int, int]) -> int:
    return _microseconds(time) // 1000


def _microseconds(time: tuple[int, int]) -> int:
    seconds, microseconds = time
    return seconds * 1_000_000 + microseconds


def known_statuses(user_ids: Collection[int]) -> dict[int, Status] | None:
    """The status of each person; None where Redis does not tell."""
    unknown: dict[int, Status] | None = None
    return _breaker.call(lambda: _statuses(user_ids), unknown)


def statuses(user_ids: Collection[int]) -> dict[int, Status]:
    """The status of each person; `offline` for whoever is not known to be there."""
    known = known_statuses(user_ids)
    return dict.fromkeys(user_ids, "offline") if known is None else known


def _statuses(user_ids: Collection[int]) -> dict[int, Status]:
    shown: dict[int, Status] = dict.fromkeys(user_ids, "offline")
    asked = list(user_ids)
    with client().pipeline(transaction=False) as pipeline:
        _ask_leases(pipeline, asked)
        time, *scores = pipeline.execute()
    present = list(_with_lease(asked, scores, _milliseconds(time)))
    if present:
        shown.update(zip(present, _shown(present), strict=True))
    return shown


def connected_sessions(user_ids: Collection[int]) -> set[str] | None:
    """The devices (sessions) of these people that have a socket, whatever they show; None where Redis does not tell."""
    unknown: set[str] | None = None
    return _breaker.call(lambda: _connected_sessions(list(user_ids)), unknown)


def _connected_sessions(user_ids: list[int]) -> set[str] | None:
    with client().pipeline(transaction=False) as pipeline:
        pipeline.time()
        for user in user_ids:
            pipeline.hgetall(f"session:{user}")
        hub_notes.ask(pipeline)
        time, *answers, noted, listening, since = pipeline.execute()
    now = _milliseconds(time)
    if not hub_notes.are_all_there(noted, listening, since, now, lease_seconds() * 1000):
        return None
    leases = cast(list[dict[bytes, bytes]], answers)
    return {
        name.decode().partition(":")[0]
        for held in leases
        for name, value in held.items()
        if name != b"shown" and int(value.split()[0]) > now
    }


def _shown(user_ids: list[int]) -> list[Status]:
    with client().pipeline(transaction=False) as pipeline:
        for user in user_ids:
            pipeline.hget(f"session:{user}", "shown")
        return [cast(Status, (status or b"offline").decode()) for status in pipeline.execute()]

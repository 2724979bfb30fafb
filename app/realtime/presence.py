"""Who is online, from the life of connections: leases in Redis, changes told to those who may see them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import structlog

from app.errors import AppError, Unavailable
from app.infra import presence as leases
from app.infra import sweeps
from app.infra.combiner import Combiner
from app.infra.db import unit_of_work
from app.infra.presence import Change, Lease, Status
from app.infra.times import rfc3339
from app.realtime import events, queries
from app.web.authentication import Caller

log = structlog.get_logger(__name__)

_ATTEMPTS = 3
# When thousands of sockets come or end at once, telling of them must not take all connections to PostgreSQL.
_LANES = 2
_LARGEST_BATCH = 100
_PATIENCE = 0.05
# Seconds after which a sweep begins with no further people.
_LONGEST_RUN = 10.0
# So many people whose telling fails one after the other stand for a PostgreSQL that is away.
_FAILURES_IN_A_ROW = 3


# What sockets of this process show by their clients' own word; all others show `online`. Redis may forget it.
_shown: dict[str, Status] = {}
# Sockets whose last renewal Redis did not take.
_failed: set[str] = set()


class _Teller(NamedTuple):
    """A person of whom others are told, whether it is that the person goes offline, the change's mark and its age."""

    user_id: int
    is_leaving: bool
    mark: str
    seconds_ago: float = 0.0


def connected(caller: Caller, connection_id: str, is_here: Callable[[], bool]) -> None:
    """A connection came up or showed life; `is_here` tells whether it still is."""
    _renew(caller, connection_id)
    if not is_here():
        # It went while this waited for its turn: the lease may have been ended before it began.
        disconnected(caller, connection_id)


def shows(caller: Caller, connection_id: str, status: Status) -> None:
    """A client says what its person shows."""
    _shown[connection_id] = status
    _renew(caller, connection_id)


def _renew(caller: Caller, connection_id: str) -> None:
    lease = _lease(caller, connection_id)
    change = leases.renew(caller.user_id, lease, leases.lease_seconds(), _status(connection_id))
    if change is leases.UNKNOWN:
        _failed.add(connection_id)
    _tell(caller.user_id, change)


def put_back(connections: Sequence[tuple[Caller, str]]) -> bool:
    """Renews leases that Redis may have lost; whether it took all. A sweep tells of these people."""
    lost = [Lease(caller.user_id, _lease(caller, each), _status(each)) for caller, each in connections]
    is_done = leases.put_back(lost, leases.lease_seconds())
    if not is_done:
        _failed.update(connection_id for _, connection_id in connections)
    return is_done


def take_failed() -> set[str]:
    """The sockets whose renewals Redis did not take since this was asked last."""
    failed = set(_failed)
    _failed.clear()
    return failed


def disconnected(caller: Caller, connection_id: str) -> None:
    """A connection is gone."""
    _shown.pop(connection_id, None)
    _tell(caller.user_id, leases.end(caller.user_id, _lease(caller, connection_id)))


def _lease(caller: Caller, connection_id: str) -> str:
    """The name of a socket's lease, which says whose device it is."""
    return f"{caller.session_id}:{connection_id}"


def _status(connection_id: str) -> Status:
    return _shown.get(connection_id, "online")


def sweep() -> int:
    """Ends what crashed processes left, people whose leases ran out go offline, and tells what nobody has told yet.

    One worker at a time, for some seconds. Returns of how many people. Raises Unavailable.
    """
    deadline = time.monotonic() + _LONGEST_RUN
    people, goes_on = 0, True
    with sweeps.only_one("presence") as alone:
        while alone and goes_on and time.monotonic() < deadline:
            found, goes_on = _sweep_page()
            people += found
    return people


def _sweep_page() -> tuple[int, bool]:
    """Sees to some people; gives of how many was told, and whether there may be more who can be."""
    gone = leases.expired()
    changes = {user_id: leases.settle(user_id) for user_id in gone}
    waiting = leases.untold()
    shown = leases.known_statuses([untold.user_id for untold in waiting])
    if shown is None:
        return 0, False
    goes_on = leases.SWEEP_BATCH in (len(gone), len(waiting))
    tellers = [_teller(user_id, change) for user_id, change in changes.items() if change.before != change.after]
    tellers += [_Teller(each.user_id, shown[each.user_id] == "offline", *each[1:]) for each in waiting]
    for start in range(0, len(tellers), _LARGEST_BATCH):
        batch = tellers[start : start + _LARGEST_BATCH]
        try:
            _tell_now(batch)
        except AppError as error:
            log.warning("presence_not_told", people=len(batch), error=error.code)
            if not _tell_each(batch):
                goes_on = False
                break
    return len(tellers), goes_on


def _tell_each(tellers: Sequence[_Teller]) -> bool:
    """Tells of each person alone; False where that fails for one after the other. A later sweep finds them again."""
    failures = 0
    for teller in tellers:
        try:
            _tell_now([teller])
            failures = 0
        except AppError as error:
            log.warning("presence_not_told", user_id=teller.user_id, error=error.code)
            failures += 1
            if failures == _FAILURES_IN_A_ROW:
                return False
    return True


def _teller(user_id: int, change: Change) -> _Teller:
    return _Teller(user_id, change.after == "offline", change.mark)


def _tell(user_id: int, change: Change) -> None:
    """Tells a change to those online who may see it; tried again for a while where PostgreSQL is busy or away.

    What is not told in that time stays noted as untold, and a sweep tells it.
    """
    if change.before == change.after:
        return
    teller, telling = _teller(user_id, change), _telling()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            told, holds = telling.submit(teller)
        except AppError as error:
            log.warning("presence_not_told", user_id=user_id, error=error.code, attempt=attempt)
            # Who came with it in a batch may be to blame, by a row that somebody holds.
            telling = _telling_alone()
            if attempt < _ATTEMPTS:
                time.sleep(attempt)
            continue
        if told == holds:
            return
        teller = _Teller(user_id, holds == "offline", leases.remain_untold(user_id))


@lru_cache(maxsize=1)
def _telling() -> Combiner[_Teller, tuple[Status, Status]]:
    return Combiner(_tell_now, _LANES, _LARGEST_BATCH, _PATIENCE)


@lru_cache(maxsize=1)
def _telling_alone() -> Combiner[_Teller, tuple[Status, Status]]:
    return Combiner(_tell_now, _LANES, 1, _PATIENCE)


def _tell_now(tellers: Sequence[_Teller]) -> list[tuple[Status, Status]]:
    """Tells what people show now; gives for each what was told, and what holds after it."""
    leaving = {teller.user_id: teller.seconds_ago for teller in tellers if teller.is_leaving}
    after = {teller.user_id: 0 for teller in tellers}
    told: dict[int, Status] = {}
    while after:
        # The rows of people are free in between: a long audience keeps nobody waiting who comes, goes or blocks.
        after = _tell_page(after, leaving, told)
        leaving = {}
    # What is told goes out after the lock is given back, where a later change may overtake it.
    holds = _statuses(list(told))
    leases.told({each.user_id: each.mark for each in tellers if told[each.user_id] == holds[each.user_id]})
    return [(told[each.user_id], holds[each.user_id]) for each in tellers]


def _tell_page(after: Mapping[int, int], leaving: Mapping[int, float], told: dict[int, Status]) -> dict[int, int]:
    """Tells the next of those who may see each person, past the viewer `after`; gives where to go on, if at all.

    `told` gets what each person's first page was told; of somebody who shows something else since, others tell.
    """
    goes_on: dict[int, int] = {}
    with unit_of_work() as unit:
        last_seen = queries.last_seen(unit, sorted(after), leaving)
        # Looked at under the lock: of two changes at the same moment, the later one tells what holds.
        statuses = _statuses(list(after))
        audiences = queries.presence_audiences(unit, after)
        connected = leases.connected({viewer for audience in audiences.values() for viewer in audience.viewers})
        if connected is None:
            raise Unavailable(retry_after=1)
        for user_id, audience in sorted(audiences.items()):
            status = statuses[user_id]
            if told.setdefault(user_id, status) != status:
                continue
            viewers = sorted(connected.intersection(audience.viewers))
            events.presence_changed(unit, user_id, status, rfc3339(last_seen.get(user_id)), viewers)
            if audience.last is not None:
                goes_on[user_id] = audience.last
    return goes_on


def _statuses(user_ids: Sequence[int]) -> Mapping[int, Status]:
    """What people show; raises Unavailable where Redis does not tell, since nobody is to be told a guess."""
    statuses = leases.known_statuses(user_ids)
    if statuses is None:
        raise Unavailable(retry_after=1)
    return statuses

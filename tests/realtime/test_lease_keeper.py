"""Leases that Redis did not take, or has lost, are put back; those of sockets that are gone are not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import gevent
import gevent.socket
import pytest

from app.infra import presence as leases
from app.infra.redis import client
from app.realtime import presence
from app.realtime.connection import Connection
from app.realtime.lease_keeper import LeaseKeeper
from app.web.authentication import Caller

_IDS = count(2**51)


@pytest.fixture
def connection(_servers: None) -> Iterator[Connection]:
    """The socket of somebody of whom nothing else is known, shown as away."""
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs:
        made = Connection(ours)
        made.caller = Caller(next(_IDS), "a session", math.inf)
        made.ready = True
        leases.renew(made.user_id, f"a session:{made.id}", 60, "away")
        presence._shown[made.id] = "away"
        yield made
        presence._shown.pop(made.id, None)
        leases.told({made.user_id: leases.end(made.user_id, f"a session:{made.id}").mark})


def look(keeper: LeaseKeeper) -> None:
    """Looks, and returns when that is done."""
    keeper.look()
    # Once for the look, and once for what it leaves to others.
    gevent.sleep(0)
    gevent.sleep(0)


def lose(connection: Connection) -> None:
    """Redis forgets the person."""
    client().delete(f"session:{connection.user_id}")
    client().zrem("online:users", connection.user_id)


def status(connection: Connection) -> str:
    return leases.statuses([connection.user_id])[connection.user_id]


def test_leases_are_put_back_as_they_were_shown_once_a_renewal_was_not_taken(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = LeaseKeeper({connection})
    look(keeper)
    lose(connection)
    look(keeper)
    assert status(connection) == "offline", "only an emptied Redis has lost the note"
    with monkeypatch.context() as patch:
        patch.setattr(leases, "renew", lambda *_: leases.UNKNOWN)
        presence.connected(connection.caller, connection.id, lambda: True)
    look(keeper)
    assert status(connection) == "away"


def test_of_one_renewal_that_was_not_taken_no_other_leases_are_renewed(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs:
        other = Connection(ours)
        other.caller, other.ready = Caller(next(_IDS), "another session", math.inf), True
        keeper = LeaseKeeper({connection, other})
        look(keeper)
        put_back: list[str] = []

        def note(given: list[tuple[Caller, str]]) -> bool:
            put_back.extend(each for _, each in given)
            return True

        monkeypatch.setattr(presence, "put_back", note)
        presence._failed.add(connection.id)
        look(keeper)
        assert put_back == [connection.id]
        leases.told({other.user_id: leases.end(other.user_id, f"another session:{other.id}").mark})


def test_who_goes_while_leases_are_put_back_is_not_there_afterwards(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {connection}
    real = presence.put_back

    def put_back(*arguments: object) -> bool:
        here.discard(connection)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(presence, "put_back", put_back)
    lose(connection)
    look(LeaseKeeper(here))
    assert status(connection) == "offline"

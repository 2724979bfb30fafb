"""Leases of presence: by the clock of Redis, and what nobody has told yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from uuid import uuid4

import pytest

from app.infra import hub_notes, presence, redis_batches
from app.infra.redis import client, make_client
from app.infra.redis_writer import RESYNC_CHANNEL
from config import settings
from tests.processes import eventually

_IDS = count(2**52)


@pytest.fixture
def user_id(_servers: None) -> Iterator[int]:
    """Somebody of whom only leases are known; they end with the test."""
    chosen = next(_IDS)
    yield chosen
    for connection in ("one", "other"):
        change = presence.end(chosen, connection)
        presence.told({chosen: change.mark})


def status(user_id: int) -> str:
    return presence.statuses([user_id])[user_id]


@pytest.mark.parametrize("wrong_by", [-3600, 3600], ids=["slow", "fast"])
def test_a_host_whose_clock_is_wrong_keeps_leases_as_all_others_do(
    user_id: int, monkeypatch: pytest.MonkeyPatch, wrong_by: int
) -> None:
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + wrong_by)
        presence.renew(user_id, "one", 60, "online")
    assert status(user_id) == "online"
    assert user_id not in presence.expired()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + wrong_by)
        assert status(user_id) == "online"
        eventually(lambda: presence.connected([user_id]) == {user_id})
        assert user_id not in presence.expired()
        assert presence.settle(user_id)[:2] == ("online", "online")


def test_a_host_whose_clock_is_fast_does_not_outlive_its_lease(user_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + 3600)
        presence.renew(user_id, "one", 0, "online")
    assert status(user_id) == "offline"


def test_who_shows_offline_has_a_socket_until_the_last_lease_ends(user_id: int) -> None:
    presence.renew(user_id, "one", 60, "offline")
    presence.renew(user_id, "other", 60, "away")
    # It is not known while a hub of another test has yet to note itself.
    eventually(lambda: presence.connected([user_id]) == {user_id})
    assert status(user_id) == "away"
    assert presence.end(user_id, "other")[:2] == ("away", "offline")
    eventually(lambda: presence.connected([user_id]) == {user_id})
    assert status(user_id) == "offline"
    assert presence.end(user_id, "one")[:2] == ("offline", "offline")
    eventually(lambda: presence.connected([user_id]) == set())


def test_only_the_mark_of_the_latest_change_makes_it_told(user_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "_TELLING_SECONDS", 0)
    came = presence.renew(user_id, "one", 60, "online")
    went = presence.end(user_id, "one")
    for mark, is_untold in ((came.mark, True), (went.mark, False)):
        presence.told({user_id: mark})
        assert (user_id in {untold.user_id for untold in presence.untold()}) is is_untold
    assert presence.end(user_id, "one").mark == ""


@pytest.mark.usefixtures("_servers")
def test_what_many_are_to_be_told_of_once_more_is_noted_at_once_over_few_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "_batches", redis_batches.RedisBatches())
    own = make_client(f"{settings().redis}&client_name=many")
    for module in (presence, redis_batches):
        monkeypatch.setattr(module, "client", lambda: own)
    people = [next(_IDS) for _ in range(40)]
    together = Barrier(len(people))

    def remain_untold(user_id: int) -> str:
        together.wait()
        return presence.remain_untold(user_id)

    with own, ThreadPoolExecutor(len(people)) as pool:
        marks = dict(zip(people, pool.map(remain_untold, people), strict=True))
        assert 1 <= len([each for each in own.client_list() if each["name"] == "many"]) <= 2
    assert own.zmscore("presence:untold", [str(user_id) for user_id in people]) == [
        float(mark) for mark in marks.values()
    ]
    presence.told(marks)
    assert own.zmscore("presence:untold", [str(user_id) for user_id in people]) == [None] * len(people)


@pytest.fixture
def emptied_notes(_servers: None) -> Iterator[None]:
    """No hub has noted that its leases are there, those that are gone neither."""
    client().delete(hub_notes.HUBS, hub_notes.SINCE)
    yield
    client().zrem(hub_notes.HUBS, "a hub")
    # As after the time of a lease: the hubs of other tests are there.
    client().set(hub_notes.SINCE, 0)


@pytest.mark.usefixtures("emptied_notes")
def test_who_has_a_socket_is_not_known_while_a_hub_that_listens_has_not_put_its_leases_back(user_id: int) -> None:
    presence.renew(user_id, "one", 60, "away")
    with client().pubsub() as listening:
        listening.subscribe(RESYNC_CHANNEL)
        # Hubs of other tests put theirs back; this one does not.
        eventually(lambda: presence.connected([user_id]) is None)
        assert presence.connected_sessions([user_id]) is None
        assert status(user_id) == "away"
        assert (hub_notes.keep("a hub"), hub_notes.finish("a hub")) == (False, False)
        assert (hub_notes.begin("a hub"), hub_notes.keep("a hub")) == (True, False)
        assert presence.connected([user_id]) is None
        assert (hub_notes.finish("a hub"), hub_notes.keep("a hub")) == (True, True)
        eventually(lambda: presence.connected([user_id]) == {user_id})


@pytest.mark.usefixtures("emptied_notes")
def test_who_has_a_socket_is_known_once_a_lease_has_passed_whoever_listens(user_id: int) -> None:
    presence.renew(user_id, "one", 60, "online")
    with client().pubsub() as listening:
        listening.subscribe(RESYNC_CHANNEL)
        eventually(lambda: presence.connected([user_id]) is None)
        noted_at = client().time()[0] * 1000
        client().set(hub_notes.SINCE, noted_at - presence.lease_seconds() * 1000 + 60_000)
        assert presence.connected([user_id]) is None
        client().set(hub_notes.SINCE, noted_at - presence.lease_seconds() * 1000 - 1)
        assert presence.connected([user_id]) == {user_id}
        assert presence.connected_sessions([user_id]) == {"one"}


def test_the_first_note_after_redis_was_emptied_says_since_when_hubs_note_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where no hub of another test notes itself at the same moment.
    for name in ("HUBS", "SINCE"):
        monkeypatch.setattr(hub_notes, name, f"tests:{uuid4()}")
    hub_notes.begin("a hub")
    hub_notes.finish("a hub")
    since = client().get(hub_notes.SINCE)
    hub_notes.keep("a hub")
    assert since is not None
    assert client().get(hub_notes.SINCE) == since

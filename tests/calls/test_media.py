"""Two WebRTC clients call each other through our API and its sockets only, and hear and see each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aioice
import pytest
from aioice.ice import TransportPolicy
from flask import Flask

from tests.calls.peer import Peer
from tests.calls.relay import COTURN, SECRET, Relay, password_of, running_coturn, running_relay
from tests.calls.scenes import People
from tests.people import Person, connections, make_people
from tests.processes import Api, running_api


@dataclass
class Relayed:
    """An API that names a relay; `relay` is None where that is coturn."""

    api: Api
    url: str
    relay: Relay | None


@pytest.fixture(scope="module", params=["small", *(["coturn"] if COTURN.exists() else [])])
def relayed(
    request: pytest.FixtureRequest, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Relayed]:
    with ExitStack() as stack:
        relay: Relay | None = None
        if request.param == "coturn":
            url = stack.enter_context(running_coturn(tmp_path_factory.mktemp("coturn")))
        else:
            url, relay = stack.enter_context(running_relay())
        api = stack.enter_context(running_api(data_dir, TURN_URLS=url, TURN_SECRET=SECRET))
        yield Relayed(api, url, relay)
        connections().close()


async def connect(ada: Peer, bob: Peer, *kinds: str) -> None:
    """Ada calls Bob, who answers, and media flow both ways."""
    call_type = "video" if "video" in kinds else "audio"
    call = ada.person.post("/calls/start", {"user_id": bob.person.id, "call_type": call_type}, 201)
    await ada.told("ringing")
    ada.open(call, *kinds)
    # Said while it rings.
    await ada.offer()
    assert (await bob.told("ringing"))["call"]["call_type"] == call_type
    bob.open(bob.person.post(f"/calls/{call['id']}/answer", status=200), *kinds)
    await bob.told("answered")
    await ada.told("answered")
    await bob.hear_description()
    await ada.hear_description()
    await asyncio.gather(ada.receives(*kinds), bob.receives(*kinds))


async def hang_up(ada: Peer, bob: Peer) -> None:
    """Bob hangs up, which both are told."""
    bob.person.post(f"/calls/{bob.call_id}/end", status=200)
    for peer in (ada, bob):
        assert (await peer.told("ended"))["call"]["end_reason"] == "hangup"
        await peer.close()


def test_sound_and_pictures_flow_both_ways_until_one_hangs_up(people: People) -> None:
    async def talk() -> None:
        ada, bob = (Peer(person) for person in people(2))
        await connect(ada, bob, "audio", "video")
        await hang_up(ada, bob)

    asyncio.run(talk())


def test_who_was_called_may_add_pictures_to_a_call_that_began_with_sound(people: People) -> None:
    async def talk() -> None:
        ada, bob = (Peer(person) for person in people(2))
        await connect(ada, bob, "audio")
        bob.send_media("video")
        await bob.offer()
        await ada.hear_description()
        await bob.hear_description()
        await ada.receives("video")
        await hang_up(ada, bob)

    asyncio.run(talk())


def test_who_lost_the_socket_and_all_ways_meanwhile_connects_anew_in_the_same_call(people: People) -> None:
    async def talk() -> None:
        ada, bob = (Peer(person) for person in people(2))
        await connect(ada, bob, "audio")
        await bob.close()
        # Said while nobody hears it; what the old socket had is told again, and skipped.
        await ada.connection.close()
        ada.open({"id": ada.call_id, "ice_servers": []}, "audio")
        await ada.offer()
        again = Peer(bob.person)
        again.last_signal = bob.last_signal
        await again.told("answered")
        again.open({"id": ada.call_id, "ice_servers": []}, "audio")
        await again.hear_description()
        await ada.hear_description()
        await asyncio.gather(ada.receives("audio"), again.receives("audio"))
        await hang_up(ada, again)

    asyncio.run(talk())


def test_media_flow_through_the_relay_where_no_direct_way_is_taken(app: Flask, relayed: Relayed) -> None:
    async def talk() -> None:
        people: list[Person] = make_people(app, 2, relayed.api.url)
        ada, bob = (Peer(person, relayed=True) for person in people)
        await connect(ada, bob, "audio", "video")
        for peer in (ada, bob):
            assert peer.candidates
            assert all(" typ relay " in candidate for candidate in peer.candidates)
        await hang_up(ada, bob)

    asyncio.run(talk())
    if relayed.relay is not None:
        assert relayed.relay.relayed > 1_000


def _over(username: str) -> tuple[str, str]:
    name = f"{int(time.time()) - 1}:{username.partition(':')[2]}"
    return name, password_of(name)


def _of_somebody_else(username: str) -> tuple[str, str]:
    return f"{username}0", password_of(username)


@pytest.mark.parametrize("spoil", [_over, _of_somebody_else])
def test_the_relay_takes_no_credentials_that_are_over_or_of_another_user(
    app: Flask, relayed: Relayed, spoil: Callable[[str], tuple[str, str]]
) -> None:
    (ada,) = make_people(app, 1, relayed.api.url)
    (server,) = ada.get("/calls/ice-servers")["ice_servers"]
    assert server["urls"] == [relayed.url]

    async def candidates(username: str, password: str) -> int:
        port = int(relayed.url.split(":")[2].partition("?")[0])
        ice = aioice.Connection(
            ice_controlling=True,
            turn_server=("127.0.0.1", port),
            turn_username=username,
            turn_password=password,
            transport_policy=TransportPolicy.RELAY,
        )
        await ice.gather_candidates()
        found = len(ice.local_candidates)
        await ice.close()
        return found

    assert asyncio.run(candidates(server["username"], server["credential"])) == 1
    assert asyncio.run(candidates(*spoil(server["username"]))) == 0

"""FLUSHALL breaks no subscription, but who has a socket is forgotten: all are told meanwhile, and it is known soon."""

from __future__ import annotations

from collections.abc import Callable

import redis

from app.messages import unread
from local.servers import Valkey
from tests.people import Person
from tests.processes import eventually

Folk = Callable[[int], list[Person]]


def empty(server: Valkey) -> None:
    with redis.Redis.from_url(server.url()) as client:
        client.flushall()


def status(viewer: Person, person: Person) -> str:
    shown: str = viewer.get(f"/users/{person.id}")["status"]
    return shown


def test_counts_are_told_also_right_after_redis_was_emptied(folk: Folk, own_valkey: Valkey) -> None:
    ada, bob = folk(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as socket:
        for _ in range(3):
            message_id = ada.send(chat_id, "soon deleted")["id"]
            unread.fan_out_all([chat_id])
            eventually(lambda: status(ada, bob) == "online")
            empty(own_valkey)
            assert ada.call("DELETE", f"/messages/{message_id}?for=everyone").status_code == 204
            assert socket.next("unread", chat_id=chat_id)["unread_count"] == 0


def test_who_has_a_socket_is_shown_as_before_long_before_the_next_heartbeat(folk: Folk, own_valkey: Valkey) -> None:
    ada, bob, carol = folk(3)
    with bob.socket(), carol.socket() as hers:
        hers.ask("presence", {"status": "away"})
        eventually(lambda: (status(ada, bob), status(ada, carol)) == ("online", "away"))
        empty(own_valkey)
        # Sooner than the heartbeat of 25 s; and she never seems to be there.
        seen = []

        def is_known() -> bool:
            seen.append(status(ada, carol))
            return (status(ada, bob), seen[-1]) == ("online", "away")

        eventually(is_known, seconds=15)
        assert "online" not in seen


def test_a_redis_that_comes_back_with_what_it_knew_earlier_learns_of_all_sockets(
    folk: Folk, own_valkey: Valkey
) -> None:
    ada, bob = folk(2)
    with bob.socket():
        eventually(lambda: status(ada, bob) == "online")
        with redis.Redis.from_url(own_valkey.url()) as client:
            # The notes of hubs are there as they were: they may be older than his socket.
            client.delete(f"session:{bob.id}")
            client.zrem("online:users", bob.id)
            assert status(ada, bob) == "offline"
            client.client_kill_filter(_type="pubsub")
        eventually(lambda: status(ada, bob) == "online", seconds=15)

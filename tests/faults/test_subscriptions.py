"""A process's one subscription: whatever befalls Redis or its people, who is connected receives and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import requests
from flask import Flask

from app.infra import bus
from app.infra.redis_writer import RESYNC_CHANNEL
from local.servers import Valkey
from tests.faults.hurting import Gate, hung_valkey, leave, locked, publish, subscribers
from tests.people import Person, connections, make_people
from tests.processes import START_SECONDS, Api, eventually
from tests.waiting import waiting_for

Folk = Callable[[int], list[Person]]

_FOREIGN = bus.encode("foreign", {})


def test_who_came_and_went_while_redis_hung_receives_after_coming_again(folk: Folk, own_valkey: Valkey) -> None:
    ada, bob, eve = folk(3)
    chat_id, other_chat_id = ada.direct_chat(bob), ada.direct_chat(eve)
    with eve.socket() as bystander:
        with hung_valkey(own_valkey):
            leave(bob.socket())
        channels = [bus.chat_messages(chat_id), bus.user_notifications(bob.id)]
        eventually(lambda: subscribers(own_valkey.url(), *channels) == [0, 0])
        # What comes on the same subscription behind the late confirmations: the process has seen them.
        ada.send(other_chat_id, "all is well")
        assert bystander.next("new_message")["text"] == "all is well"
        with bob.socket() as socket:
            ada.send(chat_id, "welcome back")
            assert socket.next("new_message")["text"] == "welcome back"


@pytest.fixture
def gate(own_valkey: Valkey) -> Iterator[Gate]:
    """A closed way to the Valkey of these tests."""
    gate = Gate(own_valkey)
    yield gate
    gate.close()


def is_alive(api: Api) -> bool:
    """Whether the API answers, although it is not ready without Redis."""
    try:
        return requests.get(f"{api.url}/healthz", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_the_first_socket_of_a_process_that_waits_for_redis_gets_what_was_published_meanwhile(
    app: Flask, folk: Folk, data_dir: Path, own_valkey: Valkey, gate: Gate
) -> None:
    (ada,) = folk(1)
    # Its first connection to Redis is neither made nor given up until the way is opened.
    with Api(data_dir, REDIS_URL=gate.url, REDIS_TIMEOUT="60s") as api:
        eventually(lambda: is_alive(api), START_SECONDS)
        (bob,) = make_people(app, 1, api.url)
        with bob.socket() as socket, redis.Redis.from_url(own_valkey.url()) as client:
            with client.pubsub(ignore_subscribe_messages=True) as listening:
                listening.subscribe(bus.user_notifications(bob.id))
                listening.get_message(timeout=20)
                chat_id = ada.group(bob)
                assert listening.get_message(timeout=20) is not None
            gate.open()
            # To sync, because something may have been lost.
            socket.next("hello")
            ada.send(chat_id, "after")
            assert socket.next("new_message")["text"] == "after"
        connections().close()  # The server would wait for more requests on them before it ends.


def test_who_leaves_while_a_resync_runs_leaves_no_subscription_behind(folk: Folk, own_valkey: Valkey) -> None:
    eve, *leaving = folk(6)
    chats = [person.group() for person in leaving]
    with eve.socket() as bystander:
        sockets = [person.socket() for person in leaving]
        with locked("LOCK TABLE chat_members IN ACCESS EXCLUSIVE MODE") as connection:
            publish(own_valkey.url(), (RESYNC_CHANNEL, b"lost"))
            eventually(lambda: waiting_for(connection) > 0)
            leave(*sockets)
        bystander.next("hello")
    names = [name for chat_id in chats for name in (bus.chat_messages(chat_id), bus.chat_typing(chat_id))]
    names += [name for person in leaving for name in (bus.user_notifications(person.id), bus.user_status(person.id))]
    eventually(lambda: not any(subscribers(own_valkey.url(), *names)))


def test_a_burst_of_orders_to_resync_greets_each_socket_only_a_few_times(folk: Folk, own_valkey: Valkey) -> None:
    people = folk(5)
    chat_id = people[0].group(*people[1:])
    sockets = [person.socket() for person in people]
    publish(own_valkey.url(), *[(RESYNC_CHANNEL, b"lost")] * 40)
    for socket in sockets:
        socket.next("hello")
    # Each request takes its turn at PostgreSQL behind the resyncs that are under way.
    for _ in range(20):
        people[0].get(f"/chats/{chat_id}")
    for socket in sockets:
        socket.quiet()
        assert len([event for event in socket.events if event["event"] == "hello"]) <= 1 + 3
        socket.socket.shutdown()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header",
        b"[]\n" + _FOREIGN,
        b"null\n" + _FOREIGN,
        b"\xff\xfe\n" + _FOREIGN,
        b'{"seq": "one"}\n' + _FOREIGN,
        b'{"seq": null}\n' + _FOREIGN,
        b'{"after_seq": []}\n' + _FOREIGN,
        b'{"members_revision": {}}\n' + _FOREIGN,
        b'{"members_revision": 4611686018427387904, "seq": "one"}\n' + _FOREIGN,
        b'{"control": "chat_joined", "subject": "here"}\n' + _FOREIGN,
        b'{"control": "session_revoked", "subject": 7}\n' + _FOREIGN,
        b'{"control": []}\n' + _FOREIGN,
    ],
)
def test_a_malformed_payload_keeps_nothing_that_follows_from_arriving(
    folk: Folk, own_valkey: Valkey, content: bytes
) -> None:
    ada, bob = folk(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as socket:
        channels = [bus.chat_messages(chat_id), bus.chat_typing(chat_id), bus.user_notifications(bob.id)]
        publish(own_valkey.url(), *[(channel, content) for channel in (*channels, bus.user_status(bob.id))])
        for number in range(3):
            ada.send(chat_id, str(number))
        assert [socket.next("new_message")["text"] for _ in range(3)] == ["0", "1", "2"]
        new_chat_id = ada.group(bob)
        assert socket.next("chat_updated", id=new_chat_id)

"""Many sockets at once, and clients that break the rules while they send a lot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from flask import Flask

from config import settings
from local.servers import Valkey, embedded_valkey
from tests.faults.hurting import locked
from tests.people import Person, connections, make_people
from tests.processes import Api, eventually, running_api
from tests.waiting import waiting_for

_SOCKETS = 500
People = Callable[[int], list[Person]]


@pytest.fixture(scope="module")
def own_valkey(data_dir: Path) -> Iterator[Valkey]:
    """A Valkey whose connections are those of one API."""
    with embedded_valkey(data_dir / "storms") as server:
        yield server


@pytest.fixture(scope="module")
def stormy_api(app: Flask, data_dir: Path, own_valkey: Valkey) -> Iterator[Api]:
    """An API process that uses it, and in which nothing runs out of time because the machine is slow."""
    patience = dict.fromkeys(("REDIS_TIMEOUT", "DB_POOL_TIMEOUT", "DB_LOCK_TIMEOUT"), "20s")
    with running_api(data_dir, REDIS_URL=own_valkey.url(), LIMITS_REDIS_URL=settings().redis, **patience) as api:
        yield api
        connections().close()  # The server would wait for more requests on them before it ends.


def test_a_storm_of_reconnecting_sockets_is_served_and_takes_few_connections_to_redis(
    app: Flask, stormy_api: Api, own_valkey: Valkey
) -> None:
    people = make_people(app, 50, stormy_api.url)
    chat_id = people[0].group(*people[1:])
    with redis.Redis.from_url(own_valkey.url()) as client, ThreadPoolExecutor(_SOCKETS) as pool:
        for _ in range(2):
            everybody = [people[number % len(people)] for number in range(_SOCKETS)]
            sockets = list(pool.map(Person.socket, everybody))
            message = people[0].send(chat_id, "to all")
            assert {socket.next("new_message")["id"] for socket in sockets} == {message["id"]}
            for socket in sockets:
                socket.socket.shutdown()
        eventually(lambda: client.zcard("online:users") == 0)
        made = int(client.info("stats")["total_connections_received"])
        assert made < 50


def test_a_storm_by_tickets_is_let_in_whole(app: Flask, stormy_api: Api) -> None:
    people = make_people(app, 50, stormy_api.url)
    with ThreadPoolExecutor(_SOCKETS) as pool:
        everybody = [people[number % len(people)] for number in range(_SOCKETS)]
        tickets = [person.post("/auth/ws-ticket")["ticket"] for person in everybody]
        sockets = list(pool.map(lambda person, ticket: person.socket(token=ticket), everybody, tickets))
    # Each was greeted, or would not be here.
    for socket in sockets:
        socket.socket.shutdown()


@pytest.mark.parametrize("table", ["chats", "call_participants"])
def test_a_storm_that_waits_for_postgresql_leaves_connections_to_requests_and_is_greeted_in_the_end(
    app: Flask, data_dir: Path, table: str
) -> None:
    pool_of_eight = {"DB_POOL_SIZE": "8", "DB_POOL_OVERFLOW": "0", "DB_POOL_TIMEOUT": "1s"}
    patience = {"DB_LOCK_TIMEOUT": "30s", "DB_STATEMENT_TIMEOUT": "30s"}
    with running_api(data_dir, **pool_of_eight, **patience) as api, ThreadPoolExecutor(100) as pool:
        ada, *others = make_people(app, 101, api.url)
        with locked(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE") as connection:
            opening = [pool.submit(person.socket) for person in others]
            eventually(lambda: waiting_for(connection) > 0)
            for _ in range(10):
                assert ada.get("/auth/me")["id"] == ada.id
        sockets = [socket.result() for socket in opening]
        assert len(sockets) == len(others)
        for socket in sockets:
            socket.socket.shutdown()
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.mark.parametrize(
    ("broken", "code"),
    [(b"\x81\x02{}", 1002), (b"\xf1\x80\x00\x00\x00\x00", 1002), (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007)],
    ids=["unmasked", "reserved bits", "not UTF-8"],
)
def test_who_breaks_the_framing_and_sends_on_is_still_told_why_the_socket_is_closed(
    people: People, broken: bytes, code: int
) -> None:
    (ada,) = people(1)
    with ada.socket() as socket:
        assert socket.socket.sock is not None
        socket.socket.sock.sendall(broken)
        assert socket.close_code() == code
        # A server that is gone resets the connection at this, and with it whatever was not read yet.
        for _ in range(2):
            socket.socket.sock.sendall(b"\x00" * 500_000)

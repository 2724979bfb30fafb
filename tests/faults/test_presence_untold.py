"""A change of presence that could not be told when it happened is told later."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from flask import Flask

from app.infra import presence as leases
from app.realtime import presence
from app.web.authentication import Caller
from tests.faults.hurting import leave, locked
from tests.people import Person, Socket, connections, make_people
from tests.processes import Api, eventually, running_api
from tests.waiting import waiting_for

# Nobody ends the transaction for being idle: the rows are held until the test gives them back.
_ROWS_OF = """
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT 1 FROM users WHERE id = ANY (:ids) FOR UPDATE"""


@pytest.fixture(scope="module")
def hasty_api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API that notices soon that somebody holds a lock for long."""
    with running_api(data_dir, DB_LOCK_TIMEOUT="2s") as api:
        yield api
        connections().close()  # The server would wait for more requests on them before it ends.


def followed(app: Flask, api: Api, count: int) -> list[Person]:
    """Somebody, and so many people whom that person has as contacts."""
    watcher, *others = make_people(app, count + 1, api.url)
    for other in others:
        watcher.post(f"/users/{other.id}/contacts")
    return [watcher, *others]


def told(watching: Socket, person: Person) -> list[str]:
    """The statuses of a person that were told until now; one that is told once more stands there once."""
    watching.quiet()
    events = [event["data"] for event in watching.events if event["event"] == "presence"]
    return [status for status, _ in groupby(data["status"] for data in events if data["user_id"] == person.id)]


def test_who_goes_while_nobody_could_be_told_for_long_is_told_to_be_gone_by_the_sweep(
    app: Flask, hasty_api: Api
) -> None:
    ada, bob = followed(app, hasty_api, 1)
    with ada.socket() as watching:
        socket = bob.socket()
        assert watching.next("presence", user_id=bob.id)["status"] == "online"
        with locked(_ROWS_OF, ids=[bob.id]):
            leave(socket)
            eventually(lambda: failed_attempts(hasty_api, bob) >= {1, 2, 3}, message="the API did not give up")
        assert told(watching, bob) == ["online"]

        def swept() -> bool:
            presence.sweep()
            return told(watching, bob) == ["online", "offline"]

        eventually(swept)
    gone = ada.get(f"/users/{bob.id}")
    assert (gone["status"], gone["last_seen_at"] is None) == ("offline", False)


def failed_attempts(api: Api, person: Person) -> set[int]:
    """Which attempts at telling of a person have failed, by the log."""
    lines = [line for line in api.log.read_text().splitlines() if "presence_not_told" in line]
    lines = [line for line in lines if re.search(rf"user_id\W+{person.id}\b", line)]
    return {int(found[1]) for line in lines if (found := re.search(r"attempt\W+(\d)", line))}


def test_those_whose_rows_are_held_keep_nobody_else_from_being_told(app: Flask, hasty_api: Api) -> None:
    ada, *others = followed(app, hasty_api, 7)
    held, bob = others[:6], others[6]
    with ada.socket() as watching:
        sockets = [person.socket() for person in others]
        # In whatever order: each is told of beside the others.
        eventually(lambda: all(told(watching, person) == ["online"] for person in others))
        with locked(_ROWS_OF, ids=[person.id for person in held]) as connection:
            # The first two wait on their own; who goes meanwhile is told of together, whether held or not.
            for number in (1, 2):
                leave(sockets[number - 1])
                eventually(lambda number=number: waiting_for(connection) >= number)
            leave(*sockets[2:])
            watching.next("presence", user_id=bob.id, status="offline")
            assert {status for person in held for status in told(watching, person)} == {"online"}


def test_a_sweep_tells_all_others_where_one_row_is_held(app: Flask, hasty_api: Api) -> None:
    ada, bob, carol = followed(app, hasty_api, 2)
    callers = [Caller(person.id, person.session_id, math.inf) for person in (bob, carol)]
    with ada.socket() as watching:
        # The greeting comes a moment before she counts as somebody to tell.
        eventually(lambda: leases.connected([ada.id]) == {ada.id})
        for caller in callers:
            presence.connected(caller, "dead", lambda: True)
            leases.renew(caller.user_id, f"{caller.session_id}:dead", 1, "online")
        for person in (bob, carol):
            watching.next("presence", user_id=person.id, status="online")
        time.sleep(1.1)
        with locked(_ROWS_OF, ids=[bob.id]):
            presence.sweep()
            assert watching.next("presence", user_id=carol.id)["status"] == "offline"
            assert told(watching, bob) == ["online"]

        def swept() -> bool:
            presence.sweep()
            return told(watching, bob) == ["online", "offline"]

        eventually(swept)

"""What one person has at work at once leaves the process to the others."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask

from app.errors import TooManyAtOnce
from app.messages import unread
from app.web.at_once import Turns
from tests.faults.hurting import locked
from tests.people import Person, Socket, connections, make_people
from tests.processes import Api, eventually, running_api
from tests.waiting import waiting_for

_SOCKETS = 20
_MOST, _MOST_WAITING = 6, 100

People = Callable[[int], list[Person]]


@pytest.fixture(scope="module")
def patient_api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API with limits, which waits long for locks."""
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_RECEIPTS": "50", "RATE_LIMIT_REQUESTS": "150"}
    patience = {"DB_LOCK_TIMEOUT": "30s", "DB_STATEMENT_TIMEOUT": "30s"}
    with running_api(data_dir, **limits, **patience) as api:
        yield api
        connections().close()


@pytest.fixture
def people(app: Flask, patient_api: Api) -> People:
    """Makes so many new people who use that API."""
    return lambda count: make_people(app, count, patient_api.url)


@pytest.mark.parametrize("kind", ["read_receipt", "delivered"])
def test_frames_over_many_sockets_of_one_person_leave_connections_to_others(people: People, kind: str) -> None:
    eve, ada, bob = people(3)
    own, theirs = eve.group(), ada.direct_chat(bob)
    data = {"chat_id": own, "message_id": eve.send(own, "x")["id"]}
    unread.fan_out_all([own])  # A worker that is about to count it would wait as well.
    with ExitStack() as stack:
        sockets = [stack.enter_context(eve.socket()) for _ in range(_SOCKETS)]
        with locked("SELECT 1 FROM user_chat_states WHERE user_id = :id FOR UPDATE", id=eve.id) as holder:
            for socket in sockets:
                socket.frame(kind, data, ref=1)
            eventually(lambda: waiting_for(holder) >= _MOST)
            answers = [ada.call("POST", "/messages", {"chat_id": theirs, "text": "mine"}) for _ in range(20)]
            assert [answer.status_code for answer in answers] == [201] * 20
            assert waiting_for(holder) == _MOST
        assert [socket.next("ack")["ref"] for socket in sockets] == [1] * _SOCKETS


def test_changes_of_one_person_that_wait_for_a_lock_leave_connections_to_others(people: People) -> None:
    eve, ada, bob = people(3)
    own, another, theirs = eve.group(), eve.group(), ada.direct_chat(bob)
    with ThreadPoolExecutor(_MOST + _MOST_WAITING) as pool:
        with locked("SELECT 1 FROM chats WHERE id = :id FOR UPDATE", id=own) as holder:
            changes = [
                pool.submit(eve.call, "PUT", f"/chats/{own}", {"name": f"name {number}"}) for number in range(100)
            ]
            eventually(lambda: waiting_for(holder) >= _MOST)
            answers = [ada.call("POST", "/messages", {"chat_id": theirs, "text": "mine"}) for _ in range(20)]
            assert [answer.status_code for answer in answers] == [201] * 20
            # Her own sends need no turn.
            assert eve.call("POST", "/messages", {"chat_id": another, "text": "x"}).status_code == 201
            assert waiting_for(holder) == _MOST
        assert {change.result().status_code for change in changes} == {200}


@pytest.mark.parametrize("kind", ["read_receipt", "delivered"])
def test_receipts_past_their_limit_are_refused_over_all_sockets_of_a_person(people: People, kind: str) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    data = {"chat_id": chat_id, "message_id": ada.send(chat_id, "x")["id"]}

    def taken(socket: Socket) -> int:
        """How many are taken until one is refused."""
        for number in range(500):
            answer = socket.ask(kind, data)
            if answer["event"] == "error":
                assert answer["data"]["code"] == "rate_limited"
                return number
        raise AssertionError("none was refused")

    with bob.socket() as socket, bob.socket() as other:
        # One more comes back each 1.2 s: on a machine that is slow, a few more are taken.
        assert 50 <= taken(socket) < 75
        assert taken(other) < 25
        assert other.ask("message", {"chat_id": chat_id, "text": "still here"})["event"] == "ack"


def test_a_renewed_token_counts_as_a_request(people: People) -> None:
    (ada,) = people(1)
    with ada.socket() as one, ada.socket() as two:
        for _ in range(200):
            answers = [socket.ask("auth", {"token": ada.access_token}) for socket in (one, two)]
            refused = [answer["data"]["code"] for answer in answers if answer["event"] == "error"]
            if refused:
                break
        assert set(refused) == {"rate_limited"}
        assert two.ask("ping")["event"] == "ack"


def test_turns_go_to_who_waited_longest_and_what_waits_beyond_the_bound_is_refused() -> None:
    turns, user_id, order = Turns(most=1, most_waiting=2), secrets.randbelow(2**40), list[int]()

    def work(number: int) -> None:
        turns.take(user_id)
        order.append(number)
        turns.give_back(user_id)

    turns.take(user_id)
    threads = []
    for number in range(2):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        eventually(lambda: len(turns._waiting[user_id]) == len(threads))
    with pytest.raises(TooManyAtOnce):
        turns.take(user_id)
    turns.take(user_id + 1)
    turns.give_back(user_id + 1)
    turns.give_back(user_id)
    for thread in threads:
        thread.join()
    assert order == [0, 1]
    assert (turns._at_work, turns._waiting) == ({}, {})


class Killed(BaseException):
    """Ends what waits."""


def test_a_turn_handed_to_who_was_killed_meanwhile_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, user_id = Turns(most=1, most_waiting=2), 1

    def killed_after(act: Callable[[], None]) -> None:
        def wait(_turn: threading.Event, _seconds: float) -> bool:
            act()
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(threading.Event, "wait", wait)
            with pytest.raises(Killed):
                turns.take(user_id)

    turns.take(user_id)
    killed_after(lambda: None)
    assert turns._at_work == {user_id: 1}
    killed_after(lambda: turns.give_back(user_id))
    assert (turns._at_work, turns._waiting) == ({}, {})

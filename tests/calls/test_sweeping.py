"""Calls end by themselves: nobody answered, or nobody is there any more; the sweep needs nothing but the rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from app.calls import queries, service
from app.calls.service.ending import end_disconnected
from app.infra import presence
from app.infra.db import reading, unit_of_work
from app.infra.redis import Breaker, make_client
from config import settings
from tests.calls.scenes import People, another_device, make_overdue, notices_of, ring, talk
from tests.counting import counted_statements
from tests.factories import run, scalar
from tests.faults.hurting import locked
from tests.people import Person
from tests.processes import eventually
from tests.waiting import waiting_for


def is_gone(call_id: int, person: Person) -> bool:
    gone = "SELECT gone_since IS NOT NULL FROM call_participants WHERE call_id = :call AND user_id = :user"
    return bool(scalar(gone, call=call_id, user=person.id))


def gone_for_long(call_id: int) -> None:
    """Sets back since when devices are gone, as if that had been noticed long ago."""
    run("UPDATE call_participants SET gone_since = gone_since - interval '31 s' WHERE call_id = :id", id=call_id)


def sweep_until_gone(call_id: int, *people: Person) -> None:
    """Sweeps until the sockets of people that were closed are noticed as gone."""

    def noticed() -> bool:
        service.sweep()
        return all(is_gone(call_id, person) for person in people)

    eventually(noticed)


def state(person: Person, call_id: int) -> tuple[str, str | None]:
    call = person.get(f"/calls/{call_id}")
    return call["state"], call["end_reason"]


def test_what_rang_for_too_long_is_missed_and_all_devices_are_told(people: People) -> None:
    ada, bob, eve, dan = people(4)
    late, early = ring(ada, bob)["id"], ring(eve, dan)["id"]
    with ada.socket() as hers, bob.socket() as his:
        make_overdue(late)
        service.sweep()
        assert hers.next("call", action="ended")["call"]["end_reason"] == "missed"
        assert his.next("call", action="ended")["call"]["status"] == "missed"
    service.sweep()
    assert (state(ada, late), state(eve, early)) == (("ended", "missed"), ("ringing", None))
    assert notices_of(late) == 1


def test_a_call_ends_when_both_devices_have_been_without_a_socket_for_long(people: People) -> None:
    ada, bob = people(2)
    with ada.socket(), bob.socket():
        call_id = talk(ada, bob)
        eventually(lambda: presence.connected_sessions([ada.id, bob.id]) == {ada.session_id, bob.session_id})
        service.sweep()
        assert not is_gone(call_id, ada)
        assert not is_gone(call_id, bob)
    sweep_until_gone(call_id, ada, bob)
    assert state(ada, call_id) == ("active", None)
    gone_for_long(call_id)
    service.sweep()
    assert state(ada, call_id) == ("ended", "disconnected")
    assert notices_of(call_id) == 1


def test_a_call_goes_on_while_one_of_the_two_is_there_or_comes_back(app: Flask, people: People) -> None:
    ada, bob = people(2)
    with ada.socket():
        with bob.socket():
            call_id = talk(ada, bob)
        # Another device of a person is not the one in the call.
        with another_device(app, bob).socket():
            sweep_until_gone(call_id, bob)
        gone_for_long(call_id)
        service.sweep()
        assert state(ada, call_id) == ("active", None)
        with bob.socket():

            def noticed() -> bool:
                service.sweep()
                return not is_gone(call_id, bob)

            eventually(noticed)


def test_a_call_stops_ringing_when_the_device_that_called_has_been_without_a_socket_for_long(people: People) -> None:
    ada, bob = people(2)
    with bob.socket() as his:
        with ada.socket():
            call_id = ring(ada, bob)["id"]
            eventually(lambda: presence.connected_sessions([ada.id]) == {ada.session_id})
            service.sweep()
            assert not is_gone(call_id, ada)
        sweep_until_gone(call_id, ada)
        assert state(bob, call_id) == ("ringing", None)
        gone_for_long(call_id)
        service.sweep()
        ended = his.next("call", action="ended")["call"]
        assert (ended["end_reason"], ended["status"]) == ("missed", "missed")
    assert notices_of(call_id) == 1


def test_who_answers_after_the_caller_was_found_gone_has_the_call(people: People) -> None:
    ada, bob = people(2)
    with bob.socket():
        call_id = ring(ada, bob)["id"]
        sweep_until_gone(call_id, ada)
        gone_for_long(call_id)
        with reading() as unit:
            assert (call_id, "ringing") in queries.disconnected(unit, 30, 10_000)
        bob.post(f"/calls/{call_id}/answer", status=200)
        assert not end_disconnected(call_id, "ringing")
        service.sweep()
        assert state(bob, call_id) == ("active", None)


def test_an_answer_that_commits_while_the_sweep_waits_for_the_call_holds(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    service.sweep()
    gone_for_long(call_id)
    with ThreadPoolExecutor(1) as pool, unit_of_work() as unit:
        assert queries.answer(unit, call_id, bob.id, bob.session_id)
        sweeping = pool.submit(end_disconnected, call_id, "ringing")
        eventually(lambda: waiting_for(unit.connection) == 1)
        unit.connection.commit()
        assert not sweeping.result()
    assert state(bob, call_id) == ("active", None)


def test_nobody_is_taken_for_gone_while_redis_does_not_tell(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = people(2)
    call_id = talk(ada, bob)
    monkeypatch.setattr(presence, "_breaker", Breaker())
    monkeypatch.setattr(presence, "client", lambda: make_client("redis://127.0.0.1:1"))
    service.sweep()
    assert not is_gone(call_id, ada)
    monkeypatch.undo()
    service.sweep()
    assert is_gone(call_id, ada)


def test_the_times_are_those_of_the_settings(people: People) -> None:
    assert (settings().call_ring_timeout, settings().call_disconnect_timeout) == (45, 30)
    ada, bob = people(2)
    call_id = talk(ada, bob)
    service.sweep()
    run("UPDATE call_participants SET gone_since = gone_since - interval '20 s' WHERE call_id = :id", id=call_id)
    service.sweep()
    assert state(ada, call_id) == ("active", None)


def test_a_chat_that_is_locked_for_long_keeps_no_other_call_from_ending(people: People) -> None:
    ada, bob, eve, dan = people(4)
    held, other = ring(ada, bob), ring(eve, dan)
    make_overdue(held["id"])
    make_overdue(other["id"])
    with locked("SELECT 1 FROM chats WHERE id = :chat FOR UPDATE", chat=held["chat_id"]):
        service.sweep()
        assert state(eve, other["id"]) == ("ended", "missed")
    service.sweep()
    assert state(ada, held["id"]) == ("ended", "missed")


def test_sweeps_at_the_same_moment_end_a_call_once(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    make_overdue(call_id)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: service.sweep(), range(4)))
    assert notices_of(call_id) == 1


def test_a_sweep_takes_as_many_statements_for_many_calls_that_go_on_as_for_none(people: People) -> None:
    # None of those that other tests have left is to end meanwhile.
    run("UPDATE calls SET deadline = clock_timestamp() + interval '1 h' WHERE state = 'ringing'")
    run("UPDATE call_participants SET gone_since = clock_timestamp() WHERE gone_since IS NOT NULL AND left_at IS NULL")
    service.sweep()
    with counted_statements() as alone:
        service.sweep()
    pairs = [people(2) for _ in range(8)]
    for ada, bob in pairs:
        talk(ada, bob)
    service.sweep()
    with counted_statements() as crowded:
        service.sweep()
    assert len(crowded) == len(alone)


def test_a_page_of_devices_goes_on_after_the_one_before(people: People) -> None:
    ada, bob, eve, dan = people(4)
    calls = {talk(ada, bob), talk(eve, dan)}
    found: list[queries.Device] = []
    after = 0
    with reading() as unit:
        while page := queries.devices(unit, after, 3):
            found += page
            after = page[-1].user_id
    ours = [(device.call_id, device.user_id) for device in found if device.call_id in calls]
    assert len(ours) == len(set(ours)) == 4

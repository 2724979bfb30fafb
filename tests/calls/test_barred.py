"""Who has no business in a call any more is out of it: blocked, signed out, erased, or out of the group."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from app.calls import queries, service
from app.chats.locking import lock_chat
from app.infra.db import unit_of_work
from tests.calls.rooms import group_call
from tests.calls.scenes import People, another_device, notices_of, refused, ring, talk
from tests.chats.membership import block, leave, remove
from tests.factories import run, scalar
from tests.people import Person
from tests.processes import Worker, eventually
from tests.waiting import waiting_for

Begin = Callable[[Person, Person], int]

_SIGN_OUT = "UPDATE sessions SET revoked_at = now() WHERE id = :id"


def ringing(caller: Person, callee: Person) -> int:
    call_id: int = ring(caller, callee)["id"]
    return call_id


def told_reason(person: Person, call_id: int) -> str | None:
    reason: str | None = person.get(f"/calls/{call_id}")["end_reason"]
    return reason


@pytest.mark.parametrize(
    ("begin", "is_caller", "reason"),
    [(ringing, True, "cancelled"), (ringing, False, "declined"), (talk, True, "hangup"), (talk, False, "hangup")],
)
def test_blocking_the_other_one_ends_the_call_for_both_at_once(
    people: People, worker: Worker, begin: Begin, is_caller: bool, reason: str
) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        call_id = begin(ada, bob)
        block(*((ada, bob) if is_caller else (bob, ada)))
        for socket in (hers, his):
            assert socket.next("call", action="ended")["call"]["end_reason"] == reason
    assert notices_of(call_id) == 1
    assert refused(bob, f"/calls/{call_id}/answer") == "call_ended"


def test_signing_the_device_in_a_call_out_ends_it_and_another_device_does_not(
    app: Flask, people: People, worker: Worker
) -> None:
    ada, bob = people(2)
    other = another_device(app, bob)
    with ada.socket() as hers:
        call_id = talk(ada, bob)
        assert bob.call("DELETE", f"/auth/sessions/{other.session_id}").status_code == 204
        assert ada.get(f"/calls/{call_id}")["state"] == "active"
        assert bob.call("DELETE", f"/auth/sessions/{bob.session_id}").status_code == 204
        assert hers.next("call", action="ended")["call"]["end_reason"] == "hangup"


@pytest.mark.parametrize("is_caller", [True, False])
@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO blocks (user_id, blocked_id) VALUES (:user, :other)", _SIGN_OUT.replace(":id", ":session")],
)
def test_the_sweep_finds_it_where_no_job_did(people: People, statement: str, is_caller: bool) -> None:
    ada, bob = people(2)
    call_id = talk(ada, bob)
    one, other = (ada, bob) if is_caller else (bob, ada)
    run(statement, user=one.id, other=other.id, session=one.session_id)
    service.sweep()
    assert told_reason(other, call_id) == "hangup"


def test_a_call_whose_caller_is_signed_out_while_it_rings_is_cancelled_and_missed(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    run(_SIGN_OUT, id=ada.session_id)
    service.sweep()
    call = bob.get(f"/calls/{call_id}")
    assert (call["end_reason"], call["status"]) == ("cancelled", "missed")


@pytest.mark.parametrize(("is_caller", "reason"), [(True, "cancelled"), (False, "declined")])
def test_nothing_rings_for_or_from_an_account_that_is_erased(people: People, is_caller: bool, reason: str) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    run("UPDATE users SET deleted_at = now() WHERE id = :id", id=(ada if is_caller else bob).id)
    service.sweep()
    assert scalar("SELECT end_reason FROM calls WHERE id = :id", id=call_id) == reason


def test_who_blocks_somebody_may_still_call_that_person(people: People) -> None:
    ada, bob = people(2)
    ada.direct_chat(bob)
    block(ada, bob)
    call_id = talk(ada, bob)
    service.end_barred([ada.id])
    service.sweep()
    assert told_reason(bob, call_id) is None


def test_a_block_that_waited_for_a_call_to_begin_ends_it(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ThreadPoolExecutor(1) as pool, unit_of_work() as unit:
        chat = lock_chat(unit, chat_id, ada.id)
        blocking = pool.submit(block, bob, ada)
        eventually(lambda: waiting_for(unit.connection) == 1)
        # The block began before the call, which commits before the block.
        call_id = queries.insert_ringing(unit, chat.id, ada.id, ada.session_id, bob.id, "audio", 45)
        unit.connection.commit()
        blocking.result()
    assert call_id is not None
    service.end_barred([bob.id])
    assert told_reason(ada, call_id) == "declined"


def test_a_block_of_or_by_others_ends_nothing(people: People) -> None:
    ada, bob, eve = people(3)
    call_id = talk(ada, bob)
    block(bob, eve)
    block(eve, ada)
    service.end_barred([ada.id, bob.id, eve.id])
    service.sweep()
    assert told_reason(ada, call_id) is None


@pytest.mark.parametrize("how", ["removed", "left", "signed out", "erased"])
def test_who_is_out_of_a_group_is_out_of_its_call_and_the_others_go_on(
    livekit_people: People, worker: Worker, how: str
) -> None:
    ada, bob, eve = livekit_people(3)
    group, call_id = group_call(ada, bob, eve)
    with ada.socket() as hers:
        hers.next("call", action="updated")
        if how == "removed":
            assert remove(ada, group, eve).status_code == 204
        elif how == "left":
            assert leave(eve, group).status_code == 204
        elif how == "signed out":
            assert eve.call("DELETE", f"/auth/sessions/{eve.session_id}").status_code == 204
        else:
            run("UPDATE users SET deleted_at = now() WHERE id = :id", id=eve.id)
            service.sweep()
        assert hers.next("call", action="updated")["call"]["participant_ids"] == [ada.id, bob.id]
    assert told_reason(ada, call_id) is None


def test_the_call_of_a_group_that_is_deleted_ends(livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    group, call_id = group_call(ada, bob)
    assert ada.call("DELETE", f"/chats/{group}").status_code == 204
    service.sweep()
    assert scalar("SELECT state || ' ' || end_reason FROM calls WHERE id = :id", id=call_id) == "ended hangup"
    assert ring(ada, bob)["state"] == "ringing"


def test_who_was_signed_out_and_is_back_with_another_device_stays(app: Flask, livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    tablet = another_device(app, bob)
    run(_SIGN_OUT, id=bob.session_id)
    tablet.post(f"/calls/{call_id}/answer", status=200)
    service.sweep()
    assert ada.get(f"/calls/{call_id}")["participant_ids"] == [ada.id, bob.id]

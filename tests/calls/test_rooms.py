"""Who is out of a group call is taken out of its room at LiveKit too, and stays out, whatever was away meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.calls import livekit, queries, service
from app.errors import Unavailable
from app.infra.db import unit_of_work
from config import settings
from tests.calls.rooms import KEY, SECRET, Rooms, group_call
from tests.calls.scenes import People
from tests.chats.membership import leave, remove
from tests.factories import run, scalar
from tests.people import Person


@pytest.fixture(autouse=True)
def _knows_livekit(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process, in which the tests run what workers do, knows it too."""
    monkeypatch.setattr(settings(), "livekit_url", rooms.url)
    monkeypatch.setattr(settings(), "livekit_api_key", KEY)
    monkeypatch.setattr(settings(), "livekit_api_secret", SECRET)
    # Whom other tests have left to be taken out, now or in some seconds, is not to come among those of this one.
    run("UPDATE call_participants SET exit_due = NULL WHERE exit_due IS NOT NULL")
    yield
    rooms.is_away = False


def enter(rooms: Rooms, call_id: int, *people: Person) -> None:
    """What the clients of people do with their tokens."""
    rooms.people |= {(f"call-{call_id}", str(person.id)) for person in people}


def inside(rooms: Rooms, call_id: int) -> set[int]:
    return {int(identity) for room, identity in rooms.people if room == f"call-{call_id}"}


def due(call_id: int) -> list[int]:
    """Whom LiveKit is to take out of the call, now or later."""
    found = scalar(
        "SELECT array_agg(user_id ORDER BY user_id) FROM call_participants WHERE call_id = :id"
        " AND exit_due IS NOT NULL",
        id=call_id,
    )
    return list(found) if isinstance(found, list) else []


def let_time_pass(call_id: int) -> None:
    """Sets back when somebody is due again."""
    run("UPDATE call_participants SET exit_due = exit_due - interval '10 s' WHERE call_id = :id", id=call_id)


def test_who_hangs_up_is_taken_out_of_the_room_once(livekit_people: People, rooms: Rooms) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    enter(rooms, call_id, ada, bob)
    bob.post(f"/calls/{call_id}/end", status=200)
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id}
    assert due(call_id) == []


def test_who_was_removed_from_the_group_is_kept_out_until_no_token_is_good_any_more(
    livekit_people: People, rooms: Rooms
) -> None:
    ada, bob = livekit_people(2)
    group, call_id = group_call(ada, bob)
    enter(rooms, call_id, ada, bob)
    assert remove(ada, group, bob).status_code == 204
    service.end_barred([bob.id])
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id}
    # With the token that cannot be taken back.
    enter(rooms, call_id, bob)
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id, bob.id}
    let_time_pass(call_id)
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id}
    assert due(call_id) == [bob.id]
    _long_ago(group, call_id)
    service.clear_rooms()
    assert due(call_id) == []


def _long_ago(group: int, call_id: int) -> None:
    let_time_pass(call_id)
    run("UPDATE chat_members SET left_at = left_at - interval '601 s' WHERE chat_id = :id", id=group)
    run("UPDATE call_participants SET left_at = left_at - interval '601 s' WHERE call_id = :id", id=call_id)


def test_who_had_hung_up_before_leaving_the_group_does_not_come_back_with_an_old_token(
    livekit_people: People, rooms: Rooms
) -> None:
    ada, bob = livekit_people(2)
    group, call_id = group_call(ada, bob)
    bob.post(f"/calls/{call_id}/end", status=200)
    service.clear_rooms()
    enter(rooms, call_id, ada, bob)
    assert leave(bob, group).status_code == 204
    service.end_barred([bob.id])
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id}


def test_a_device_that_had_hung_up_before_it_was_signed_out_does_not_come_back_with_an_old_token(
    livekit_people: People, rooms: Rooms
) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    bob.post(f"/calls/{call_id}/end", status=200)
    service.clear_rooms()
    enter(rooms, call_id, ada, bob)
    run("UPDATE sessions SET revoked_at = now() WHERE id = :id", id=bob.session_id)
    service.end_barred([bob.id])
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id}


def test_while_livekit_is_away_or_broken_nobody_is_forgotten(
    livekit_people: People, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    enter(rooms, call_id, ada, bob)
    bob.post(f"/calls/{call_id}/end", status=200)
    monkeypatch.setattr(settings(), "livekit_url", "ws://127.0.0.1:1")
    assert service.clear_rooms() == 0
    monkeypatch.setattr(settings(), "livekit_url", rooms.url)
    rooms.is_away = True
    let_time_pass(call_id)
    assert service.clear_rooms() == 0
    rooms.is_away = False
    let_time_pass(call_id)
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id}


def test_who_is_back_in_the_call_is_not_taken_out(livekit_people: People, rooms: Rooms) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    bob.post(f"/calls/{call_id}/end", status=200)
    bob.post(f"/calls/{call_id}/answer", status=200)
    enter(rooms, call_id, ada, bob)
    service.clear_rooms()
    assert inside(rooms, call_id) == {ada.id, bob.id}


def test_who_has_come_and_gone_again_meanwhile_is_due_still(livekit_people: People, rooms: Rooms) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    bob.post(f"/calls/{call_id}/end", status=200)
    with unit_of_work() as unit:
        assert queries.take_exit(unit, 10) == (call_id, bob.id)
    bob.post(f"/calls/{call_id}/answer", status=200)
    bob.post(f"/calls/{call_id}/end", status=200)
    with unit_of_work() as unit:
        queries.settle_exit(unit, call_id, bob.id, 600, 10)
    assert due(call_id) == [bob.id]


def test_who_comes_back_while_others_are_taken_out_stays(
    livekit_people: People, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob, eve = livekit_people(3)
    _, call_id = group_call(ada, bob, eve)
    enter(rooms, call_id, ada, bob, eve)
    bob.post(f"/calls/{call_id}/end", status=200)
    eve.post(f"/calls/{call_id}/end", status=200)
    remove_participant = livekit.remove_participant

    def eve_comes_back(call: int, user_id: int) -> None:
        remove_participant(call, user_id)
        eve.post(f"/calls/{call_id}/answer", status=200)

    monkeypatch.setattr(livekit, "remove_participant", eve_comes_back)
    assert service.clear_rooms() == 1
    assert inside(rooms, call_id) == {ada.id, eve.id}


def test_who_is_in_the_call_and_marked_all_the_same_keeps_nobody_waiting(livekit_people: People, rooms: Rooms) -> None:
    ada, bob = livekit_people(2)
    _, call_id = group_call(ada, bob)
    enter(rooms, call_id, ada, bob)
    # As a process leaves it that lets people in and knows nothing of the column.
    run("UPDATE call_participants SET exit_due = now() WHERE call_id = :id AND user_id = :u", id=call_id, u=ada.id)
    bob.post(f"/calls/{call_id}/end", status=200)
    assert service.clear_rooms() == 1
    assert inside(rooms, call_id) == {ada.id}
    assert due(call_id) == []


def test_livekit_refuses_who_has_another_secret_and_an_address_that_is_not_its_own(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    livekit.remove_participant(1, 2)
    assert rooms.asked[-1] == ("call-1", "2")
    monkeypatch.setattr(settings(), "livekit_url", f"{rooms.url}/elsewhere")
    with pytest.raises(livekit.LivekitRefused, match="bad_route"):
        livekit.remove_participant(1, 2)
    monkeypatch.setattr(settings(), "livekit_url", rooms.url)
    monkeypatch.setattr(settings(), "livekit_api_secret", "some other secret, which is as long as that one")
    with pytest.raises(livekit.LivekitRefused, match="401"):
        livekit.remove_participant(1, 2)
    monkeypatch.setattr(settings(), "livekit_url", "ws://127.0.0.1:1")
    with pytest.raises(Unavailable):
        livekit.remove_participant(1, 2)

"""Calls of groups: one at a time, in LiveKit; who is in them is told to the group."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jwt
from flask import Flask

from app.calls import service
from tests.calls.rooms import SECRET, Rooms, group_call
from tests.calls.scenes import People, actions, another_device, make_overdue, notices_of, refused, ring, talk
from tests.chats.membership import add, leave, notices, remove
from tests.factories import run, scalar
from tests.faults.hurting import locked, remove_untold
from tests.people import Person
from tests.processes import eventually
from tests.waiting import waiting_for


def start(person: Person, chat_id: int) -> dict[str, object]:
    call: dict[str, object] = person.post("/calls/start", {"chat_id": chat_id, "call_type": "video"}, 201)
    return call


def test_without_livekit_there_are_no_group_calls(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    assert refused(ada, "/calls/start", {"chat_id": group, "call_type": "audio"}) == "group_calls_unavailable"
    assert notices(ada, group) == []


def test_who_starts_and_who_joins_gets_a_token_for_the_room_of_the_call(livekit_people: People, rooms: Rooms) -> None:
    ada, bob = livekit_people(2)
    call = start(ada, ada.group(bob))
    joined = bob.post(f"/calls/{call['id']}/answer", status=200)
    for person, answer in ((ada, call), (bob, joined)):
        room = answer["room"]
        assert isinstance(room, dict)
        assert (room["url"], room["name"]) == (rooms.url, f"call-{call['id']}")
        claims = jwt.decode(room["token"], SECRET, algorithms=["HS256"], issuer="key")
        assert claims["sub"] == str(person.id)
        assert claims["video"]["room"] == room["name"]
        assert claims["video"]["roomJoin"] is True
        assert claims["exp"] - claims["nbf"] == 605


def test_a_group_is_told_who_is_in_its_call_until_the_last_one_leaves(livekit_people: People) -> None:
    ada, bob, eve = livekit_people(3)
    group = ada.group(bob, eve)
    with ada.socket() as hers, eve.socket() as watching:
        call = start(ada, group)
        assert (call["state"], call["callee_id"], call["status"]) == ("active", None, "outgoing")
        assert start(bob, group)["id"] == call["id"]
        ada.post(f"/calls/{call['id']}/end")
        bob.post(f"/calls/{call['id']}/end")
        told = [watching.next("call") for _ in range(4)]
        assert [each["action"] for each in told] == ["updated", "updated", "updated", "ended"]
        assert [each["call"]["participant_ids"] for each in told] == [[ada.id], [ada.id, bob.id], [bob.id], []]
        assert {each["call"]["status"] for each in told} == {"incoming"}
        assert [each["call"]["revision"] for each in told] == sorted(each["call"]["revision"] for each in told)
        assert [hers.next("call")["call"]["status"] for _ in range(4)] == ["outgoing"] * 4
    said = [(notice["action"], notice["by"]) for notice in notices(eve, group)]
    assert said == [("call_started", ada.id), ("call_ended", ada.id)]
    assert [each["id"] for each in bob.get("/calls/history")["items"]] == [call["id"]]
    assert eve.get("/calls/history")["items"] == []
    assert eve.get(f"/calls/{call['id']}")["end_reason"] == "hangup"
    assert refused(eve, f"/calls/{call['id']}/answer") == "call_ended"


def test_who_left_may_join_again_and_leaving_twice_is_harmless(livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    call = start(ada, ada.group(bob))
    path = f"/calls/{call['id']}"
    bob.post(f"{path}/answer", status=200)
    bob.post(f"{path}/end", status=200)
    bob.post(f"{path}/end", status=200)
    assert bob.post(f"{path}/answer", status=200)["participant_ids"] == [ada.id, bob.id]


def test_a_device_whose_person_went_over_to_another_one_takes_nobody_out(app: Flask, livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    call = start(ada, ada.group(bob))
    path = f"/calls/{call['id']}"
    bob.post(f"{path}/answer", status=200)
    tablet = another_device(app, bob)
    tablet.post(f"{path}/answer", status=200)
    assert bob.post(f"{path}/end", status=200)["participant_ids"] == [ada.id, bob.id]
    assert ada.get(path)["participant_ids"] == [ada.id, bob.id]
    assert tablet.post(f"{path}/end", status=200)["participant_ids"] == [ada.id]


def test_any_device_hangs_up_for_its_person_where_it_says_so(app: Flask, livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    call = start(ada, ada.group(bob))
    path = f"/calls/{call['id']}"
    bob.post(f"{path}/answer", status=200)
    tablet = another_device(app, bob)
    for reason in (None, "declined", "cancelled", "busy"):
        assert tablet.post(f"{path}/end", {"reason": reason}, 200)["participant_ids"] == [ada.id, bob.id]
    assert tablet.post(f"{path}/end", {"reason": "hangup"}, 200)["participant_ids"] == [ada.id]
    assert ring(bob, livekit_people(1)[0])["state"] == "ringing"


def test_who_is_in_a_group_call_is_busy_and_who_is_busy_cannot_join(livekit_people: People) -> None:
    ada, bob, eve = livekit_people(3)
    group = ada.group(bob, eve)
    call = start(ada, group)
    assert refused(eve, "/calls/start", {"user_id": ada.id, "call_type": "audio"}) == "busy"
    talk(bob, eve)
    assert refused(bob, f"/calls/{call['id']}/answer") == "busy"
    assert refused(bob, "/calls/start", {"chat_id": group, "call_type": "audio"}) == "busy"
    assert ada.get(f"/calls/{call['id']}")["participant_ids"] == [ada.id]


def test_what_rang_for_too_long_keeps_nobody_from_a_groups_call(livekit_people: People) -> None:
    ada, bob, *callers = livekit_people(4)
    group = ada.group(bob)
    late = [ring(caller, person)["id"] for caller, person in zip(callers, (ada, bob), strict=True)]
    for call_id in late:
        make_overdue(call_id)
    # No sweep has looked: whoever starts or joins a call ends it.
    path = f"/calls/{start(ada, group)['id']}"
    assert bob.post(f"{path}/answer", status=200)["participant_ids"] == [ada.id, bob.id]
    for call_id, person in zip(late, (ada, bob), strict=True):
        assert person.get(f"/calls/{call_id}")["end_reason"] == "missed"
        assert notices_of(call_id) == 1
    assert [notice["action"] for notice in notices(ada, group)] == ["call_started"]


def test_a_socket_that_comes_later_is_told_of_the_groups_call_that_its_person_is_in(
    app: Flask, livekit_people: People
) -> None:
    ada, bob, eve, carol = livekit_people(4)
    group, call_id = group_call(ada, bob, eve)
    assert add(ada, group, carol).status_code == 200
    # Nobody has taken her out yet: she is in the call, but in the group no more.
    remove_untold(group, eve.id)
    with ada.socket() as hers, another_device(app, bob).socket() as his, eve.socket() as former, carol.socket() as new:
        for socket, status in ((hers, "outgoing"), (his, "incoming")):
            call = socket.next("call", action="updated")["call"]
            assert (call["id"], call["status"], call["participant_ids"]) == (call_id, status, [ada.id, bob.id, eve.id])
        assert actions(former, call_id) == actions(new, call_id) == []


def test_strangers_and_former_members_do_not_join_nor_see_it(livekit_people: People) -> None:
    ada, bob, eve = livekit_people(3)
    group = ada.group(bob)
    call = start(ada, group)
    assert leave(bob, group).status_code == 204
    for person in (bob, eve):
        assert refused(person, f"/calls/{call['id']}/answer") == "not_found"
        assert person.call("GET", f"/calls/{call['id']}").status_code == 404


def test_who_was_in_the_call_and_then_removed_sees_nothing_of_it_any_more(livekit_people: People) -> None:
    ada, bob, eve = livekit_people(3)
    group = ada.group(bob, eve)
    call = start(ada, group)
    seen = eve.post(f"/calls/{call['id']}/answer", status=200)
    assert remove(ada, group, eve).status_code == 204
    bob.post(f"/calls/{call['id']}/answer", status=200)
    assert eve.call("GET", f"/calls/{call['id']}").status_code == 404
    (past,) = eve.get("/calls/history")["items"]
    assert (past["id"], past["state"], past["participant_ids"]) == (call["id"], "ended", [])
    assert eve.post(f"/calls/{call['id']}/end", status=200)["participant_ids"] == []
    live = ada.get(f"/calls/{call['id']}")
    assert live["participant_ids"] == [ada.id, bob.id]
    assert seen["revision"] <= past["revision"] < live["revision"]
    for person in (bob, ada):
        person.post(f"/calls/{call['id']}/end", status=200)
    assert eve.get("/calls/history")["items"] == [past]


def test_who_started_the_call_and_was_then_removed_hears_nothing_of_it_any_more(livekit_people: People) -> None:
    ada, bob, eve, carol = livekit_people(4)
    group = carol.group(ada, bob, eve)
    call = start(ada, group)
    bob.post(f"/calls/{call['id']}/answer", status=200)
    with ada.socket() as hers, carol.socket() as watching:
        hers.next("call", action="updated")
        assert remove(carol, group, ada).status_code == 204
        hers.next("chat_removed")
        service.sweep()
        eve.post(f"/calls/{call['id']}/answer", status=200)
        for person in (bob, eve):
            person.post(f"/calls/{call['id']}/end", status=200)
        watching.next("call", action="ended")
        # Of what is told to her comes nothing before this.
        eve.send(eve.direct_chat(ada), "hello")
        hers.next("new_message")
        assert [event["event"] for event in hers.events].count("call") == 1


def test_a_call_that_ended_before_somebody_left_stays_in_their_history_as_it_was(livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    group = ada.group(bob)
    call = start(ada, group)
    bob.post(f"/calls/{call['id']}/answer", status=200)
    for person in (bob, ada):
        person.post(f"/calls/{call['id']}/end", status=200)
    before = bob.get("/calls/history")["items"]
    assert leave(bob, group).status_code == 204
    assert bob.get("/calls/history")["items"] == before


def test_no_more_join_than_the_settings_say(livekit_people: People) -> None:
    everybody = livekit_people(4)
    call = start(everybody[0], everybody[0].group(*everybody[1:]))
    for person in everybody[1:3]:
        person.post(f"/calls/{call['id']}/answer", status=200)
    assert refused(everybody[3], f"/calls/{call['id']}/answer") == "conflict"
    everybody[2].post(f"/calls/{call['id']}/answer", status=200)


def test_signals_do_not_go_through_group_calls(livekit_people: People) -> None:
    ada, bob = livekit_people(2)
    call = start(ada, ada.group(bob))
    with ada.socket() as hers:
        assert hers.ask("call_signal", {"call_id": call["id"], "signal": {}})["data"]["code"] == "conflict"


def test_all_who_start_at_the_same_moment_are_in_one_call(livekit_people: People) -> None:
    everybody = livekit_people(3)
    group = everybody[0].group(*everybody[1:])
    with ThreadPoolExecutor(3) as pool:
        calls = list(pool.map(lambda person: start(person, group), everybody))
    assert len({call["id"] for call in calls}) == 1
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda person: person.post(f"/calls/{calls[0]['id']}/end"), everybody))
    assert [notice["action"] for notice in notices(everybody[0], group)] == ["call_started", "call_ended"]


def test_the_sweep_takes_out_who_is_gone_for_long_or_was_removed(livekit_people: People) -> None:
    ada, bob, eve = livekit_people(3)
    group = ada.group(bob, eve)
    call = start(ada, group)
    for person in (bob, eve):
        person.post(f"/calls/{call['id']}/answer", status=200)
    assert remove(ada, group, eve).status_code == 204
    service.sweep()
    assert ada.get(f"/calls/{call['id']}")["participant_ids"] == [ada.id, bob.id]
    run("UPDATE call_participants SET gone_since = gone_since - interval '31 s' WHERE call_id = :id", id=call["id"])
    service.sweep()
    ended = ada.get(f"/calls/{call['id']}")
    assert (ended["participant_ids"], ended["end_reason"]) == ([], "disconnected")
    assert scalar("SELECT count(*) FROM call_participants WHERE call_id = :id AND left_at IS NULL", id=call["id"]) == 0
    assert ring(bob, eve)["state"] == "ringing"


def test_who_comes_back_while_the_sweep_waits_for_another_chat_stays_in_the_call(livekit_people: People) -> None:
    ada, bob, eve = livekit_people(3)
    held, _ = group_call(ada)
    _, call_id = group_call(bob, eve)
    gone = "UPDATE call_participants SET gone_since = now() - interval '31 s' WHERE user_id = ANY (:ids)"
    run(gone, ids=[ada.id, bob.id])
    with ThreadPoolExecutor(1) as pool:
        with locked("SELECT 1 FROM chats WHERE id = :chat FOR UPDATE", chat=held) as holder:
            sweeping = pool.submit(service.sweep)
            eventually(lambda: waiting_for(holder) == 1)
            # The sweep knows already who is gone.
            bob.post(f"/calls/{call_id}/answer", status=200)
        sweeping.result()
    assert eve.get(f"/calls/{call_id}")["participant_ids"] == [bob.id, eve.id]

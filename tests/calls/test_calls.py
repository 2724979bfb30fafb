"""How a call goes: it rings, is answered or not, ends, and stands in the chat and in the history."""

from __future__ import annotations

import pytest
from flask import Flask

from app.calls import service
from app.infra.db import reading
from tests.calls.scenes import People, actions, another_device, make_overdue, notices_of, refused, ring, talk
from tests.chats.membership import block, channel, notices, pages
from tests.factories import run, scalar


def test_a_call_rings_on_all_devices_of_the_callee_and_the_first_to_answer_has_it(app: Flask, people: People) -> None:
    ada, bob = people(2)
    bobs_other = another_device(app, bob)
    with ada.socket() as hers, bob.socket() as his, bobs_other.socket() as other:
        call = ring(ada, bob, "video")
        assert (call["state"], call["status"], call["caller_id"], call["callee_id"]) == (
            "ringing",
            "outgoing",
            ada.id,
            bob.id,
        )
        assert (call["answered_at"], call["ended_at"], call["duration_seconds"]) == (None, None, None)
        for socket in (his, other):
            rings = socket.next("call", action="ringing")["call"]
            assert (rings["id"], rings["status"], rings["call_type"]) == (call["id"], "incoming", "video")
        answered = bob.post(f"/calls/{call['id']}/answer", status=200)
        assert (answered["state"], answered["participant_ids"]) == ("active", [ada.id, bob.id])
        assert refused(bobs_other, f"/calls/{call['id']}/answer") == "answered_elsewhere"
        assert hers.next("call", action="answered")["call"]["state"] == "active"
        ended = ada.post(f"/calls/{call['id']}/end", status=200)
        assert (ended["state"], ended["end_reason"], ended["participant_ids"]) == ("ended", "hangup", [])
        assert ended["duration_seconds"] == 0
        his.next("call", action="ended")
        other.next("call", action="ended")
        assert actions(hers, call["id"]) == ["ringing", "answered", "ended"]
        assert actions(his, call["id"]) == ["ringing", "answered", "ended"]
        assert actions(other, call["id"]) == ["ringing", "answered_elsewhere", "ended"]


def test_answering_again_with_the_same_device_is_answered_alike(people: People) -> None:
    ada, bob = people(2)
    call_id = talk(ada, bob)
    assert bob.post(f"/calls/{call_id}/answer", status=200)["state"] == "active"
    assert refused(ada, f"/calls/{call_id}/answer") == "forbidden"


def test_the_callee_declines_and_the_caller_cancels(people: People) -> None:
    ada, bob = people(2)
    first = ring(ada, bob)["id"]
    assert bob.post(f"/calls/{first}/end", status=200)["end_reason"] == "declined"
    second = ring(ada, bob)["id"]
    assert ada.post(f"/calls/{second}/end", {"reason": "cancelled"}, 200)["end_reason"] == "cancelled"
    assert refused(bob, f"/calls/{second}/answer") == "call_ended"
    assert bob.get(f"/calls/{first}")["status"] == "incoming"
    assert bob.get(f"/calls/{second}")["status"] == "missed"
    assert ada.get(f"/calls/{second}")["status"] == "outgoing"


def test_a_device_may_say_that_its_person_is_busy(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    assert bob.post(f"/calls/{call_id}/end", {"reason": "busy"}, 200)["end_reason"] == "busy"


def test_a_call_that_is_over_stays_as_it_ended(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    ended = bob.post(f"/calls/{call_id}/end", status=200)
    assert bob.post(f"/calls/{call_id}/end", {"reason": "hangup"}, 200) == ended
    assert ada.post(f"/calls/{call_id}/end", status=200)["end_reason"] == "declined"
    assert notices_of(call_id) == 1


def test_declining_on_one_device_does_not_end_what_another_has_answered(app: Flask, people: People) -> None:
    ada, bob = people(2)
    other = another_device(app, bob)
    call_id = talk(ada, bob)
    assert refused(other, f"/calls/{call_id}/end", {"reason": "declined"}) == "answered_elsewhere"
    assert refused(other, f"/calls/{call_id}/end") == "answered_elsewhere"
    assert other.post(f"/calls/{call_id}/end", {"reason": "hangup"}, 200)["end_reason"] == "hangup"


def test_who_is_in_a_call_is_busy_for_all_others_and_the_caller_is_told(people: People) -> None:
    ada, bob, eve = people(3)
    talk(ada, bob)
    with bob.socket() as his:
        assert refused(eve, "/calls/start", {"user_id": bob.id, "call_type": "audio"}) == "busy"
        missed = his.next("call", action="ended")["call"]
        assert (missed["caller_id"], missed["end_reason"], missed["status"]) == (eve.id, "busy", "missed")
    assert refused(bob, "/calls/start", {"user_id": eve.id, "call_type": "audio"}) == "busy"
    assert [call["end_reason"] for call in eve.get("/calls/history")["items"]] == ["busy"]
    assert notices_of(missed["id"]) == 1


def test_a_call_appears_in_the_chat_for_both_as_a_service_message(people: People) -> None:
    ada, bob = people(2)
    call = ring(ada, bob)
    bob.post(f"/calls/{call['id']}/end", status=200)
    said = {
        "action": "call",
        "by": ada.id,
        "call_id": call["id"],
        "call_type": "audio",
        "end_reason": "declined",
        "duration_seconds": 0,
    }
    assert notices(ada, call["chat_id"]) == notices(bob, call["chat_id"]) == [said]
    assert call["chat_id"] in [chat["id"] for chat in bob.get("/chats")["items"]]


def test_a_missed_call_is_in_what_a_device_catches_up_on(people: People) -> None:
    ada, bob = people(2)
    cursor = bob.caught_up()
    call_id = ring(ada, bob)["id"]
    ada.post(f"/calls/{call_id}/end")
    page = bob.get("/sync", cursor=cursor)
    assert [message["service"]["call_id"] for message in page["messages"]] == [call_id]


def test_a_chat_may_be_named_instead_of_its_person(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    call = ada.post("/calls/start", {"chat_id": chat_id, "call_type": "video"}, 201)
    assert (call["chat_id"], call["callee_id"]) == (chat_id, bob.id)


def test_there_are_no_calls_in_channels_nor_with_oneself_nor_by_who_is_blocked(people: People) -> None:
    ada, bob = people(2)
    news, own = channel(ada, bob), ada.direct_chat(ada)
    for body in ({"chat_id": news}, {"chat_id": own}, {"user_id": ada.id}):
        assert refused(ada, "/calls/start", body | {"call_type": "audio"}) == "forbidden"
    block(bob, ada)
    with bob.socket() as his:
        for body in ({"user_id": bob.id}, {"chat_id": ada.direct_chat(bob)}):
            assert refused(ada, "/calls/start", body | {"call_type": "audio"}) == "forbidden"
        assert [event["event"] for event in his.quiet() if event["event"] == "call"] == []
    assert ada.get("/calls/history")["items"] == []
    assert ring(bob, ada)["state"] == "ringing"


def test_unknown_and_erased_people_are_not_found(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    run("UPDATE users SET deleted_at = now() WHERE id = :id", id=bob.id)
    for body in ({"user_id": bob.id}, {"chat_id": chat_id}, {"user_id": 2**53 - 1}, {"chat_id": 2**53 - 1}):
        assert refused(ada, "/calls/start", body | {"call_type": "audio"}) == "not_found"


@pytest.mark.parametrize("body", [{}, {"user_id": 1, "chat_id": 1}, {"user_id": 1, "call_type": "fax"}])
def test_a_call_names_one_of_both_and_its_type(people: People, body: dict[str, object]) -> None:
    (ada,) = people(1)
    assert refused(ada, "/calls/start", {"call_type": "audio"} | body) == "validation_failed"


def test_strangers_find_no_call(people: People) -> None:
    ada, bob, eve = people(3)
    call_id = ring(ada, bob)["id"]
    assert refused(eve, f"/calls/{call_id}/answer") == refused(eve, f"/calls/{call_id}/end") == "not_found"
    assert eve.call("GET", f"/calls/{call_id}").status_code == 404


def test_the_history_is_paged_and_is_each_viewers_own(people: People) -> None:
    ada, bob = people(2)
    made = []
    for ending in ("declined", "cancelled", "hangup", "cancelled"):
        call_id = talk(ada, bob) if ending == "hangup" else ring(ada, bob)["id"]
        (bob if ending == "declined" else ada).post(f"/calls/{call_id}/end", status=200)
        made.append(call_id)
    listed = list(pages(bob, "/calls/history", limit=3))
    assert [[call["id"] for call in page] for page in listed] == [made[:0:-1], made[:1]]
    assert [call["status"] for page in listed for call in page] == ["missed", "incoming", "missed", "incoming"]
    assert {call["status"] for page in pages(ada, "/calls/history") for call in page} == {"outgoing"}
    missed = [[call["id"] for call in page] for page in pages(bob, "/calls/history", missed="true", limit=1)]
    assert missed == [[made[3]], [made[1]]]
    assert ada.get("/calls/history", missed="true")["items"] == []


def test_what_rang_for_too_long_can_not_be_answered_and_keeps_nobody_busy(people: People) -> None:
    ada, bob, eve = people(3)
    call_id = ring(ada, bob)["id"]
    make_overdue(call_id)
    assert refused(bob, f"/calls/{call_id}/answer") == "call_ended"
    # No sweep has looked: whoever calls next ends it.
    assert ring(eve, bob)["state"] == "ringing"
    assert bob.get(f"/calls/{call_id}")["end_reason"] == "missed"
    assert notices_of(call_id) == 1


def test_calling_again_ends_the_own_call_that_rang_for_too_long(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    make_overdue(call_id)
    assert ring(ada, bob)["id"] != call_id
    assert ada.get(f"/calls/{call_id}")["end_reason"] == "missed"


def test_a_call_rings_for_as_long_as_the_settings_say_by_the_clock_of_the_database(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    seconds = scalar("SELECT round(extract(epoch FROM deadline - started_at)) FROM calls WHERE id = :id", id=call_id)
    assert seconds == 45


def test_a_socket_that_comes_later_is_told_how_the_call_stands(app: Flask, people: People) -> None:
    ada, bob = people(2)
    tablet = another_device(app, bob)
    call_id = ring(ada, bob)["id"]
    with bob.socket() as his, ada.socket() as hers:
        assert his.next("call")["action"] == hers.next("call")["action"] == "ringing"
    bob.post(f"/calls/{call_id}/answer")
    with bob.socket() as his, tablet.socket() as other, ada.socket() as hers:
        assert his.next("call")["call"]["state"] == hers.next("call")["call"]["state"] == "active"
        assert actions(other, call_id) == []
    bob.post(f"/calls/{call_id}/end")
    with bob.socket() as his:
        assert actions(his, call_id) == []


def test_what_rang_for_too_long_rings_on_no_socket_that_comes_later(people: People) -> None:
    ada, bob = people(2)
    call_id = ring(ada, bob)["id"]
    make_overdue(call_id)
    with bob.socket() as his, ada.socket() as hers:
        assert actions(his, call_id) == actions(hers, call_id) == []


def test_one_statement_finds_what_is_live_for_many(people: People) -> None:
    ada, bob, eve = people(3)
    call_id = ring(ada, bob)["id"]
    with reading() as unit:
        assert {user: row.id for user, row in service.live_calls(unit, [ada.id, bob.id, eve.id]).items()} == {
            ada.id: call_id,
            bob.id: call_id,
        }

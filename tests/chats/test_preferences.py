"""What each member sets for oneself: pins, mutes, cleared histories, chats out of the list."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.chats import service
from app.errors import Conflict
from app.infra.db import reading, unit_of_work
from app.messages.unread import recount
from config import settings
from tests.chats.membership import channel, leave, outcome
from tests.factories import member_states, run, scalar
from tests.people import Person, Socket

People = Callable[[int], list[Person]]

# More than 1,000 messages a second in one chat put its revision ahead of the clock.
_AHEAD = "next_message_id(revision + (5000::bigint << 12))"


def pin(person: Person, chat_id: int, pinned: bool = True) -> Any:
    return person.post(f"/chats/{chat_id}/pin", {"pinned": pinned}, status=200)


def listed(person: Person) -> list[int]:
    return [chat["id"] for chat in person.get("/chats")["items"]]


def clear(person: Person, chat_id: int, for_everyone: bool = False) -> int | str:
    return outcome(person.call("DELETE", f"/chats/{chat_id}/history", params={"for_everyone": for_everyone}))


def delete(person: Person, chat_id: int, for_everyone: bool = False) -> int | str:
    return outcome(person.call("DELETE", f"/chats/{chat_id}", params={"for_everyone": for_everyone}))


def texts(person: Person, chat_id: int) -> list[str]:
    items = person.get(f"/chats/{chat_id}/messages")["items"]
    return [item["text"] for item in reversed(items)]


def rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_pin_is_ones_own_and_stands_first(people: People) -> None:
    ada, bob = people(2)
    first, second = ada.group(bob), ada.group(bob)
    assert pin(ada, first)["is_pinned"]
    assert (listed(ada), listed(bob)) == ([first, second], [second, first])
    assert not pin(ada, first, pinned=False)["is_pinned"]
    assert listed(ada) == [second, first]


def test_what_one_sets_is_past_what_was_seen_of_the_chat_also_where_that_is_ahead_of_the_clock(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    ada.send(chat_id, "Hello")
    acts: list[Callable[[], Any]] = [
        lambda: pin(ada, chat_id),
        lambda: pin(ada, chat_id, pinned=False),
        lambda: ada.post(f"/chats/{chat_id}/mute", {"muted": True}),
        lambda: ada.post(f"/chats/{chat_id}/mute", {"muted": False}),
    ]
    for act in acts:
        run(f"UPDATE chats SET revision = {_AHEAD} WHERE id = :chat", chat=chat_id)
        seen = ada.get(f"/chats/{chat_id}")["revision"]
        act()
        assert ada.get(f"/chats/{chat_id}")["revision"] > seen


def test_a_chat_that_is_opened_again_is_past_what_was_seen_of_it(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    assert delete(ada, chat_id) == 204
    run(f"UPDATE chats SET revision = {_AHEAD} WHERE id = :chat", chat=chat_id)
    seen = ada.get(f"/chats/{chat_id}")["revision"]
    with ada.socket() as hers:
        ada.direct_chat(bob)
        assert hers.next("chat_updated", id=chat_id)["revision"] > seen


def test_pinning_twice_changes_nothing(people: People) -> None:
    (ada,) = people(1)
    group = ada.group()
    assert pin(ada, group)["revision"] == pin(ada, group)["revision"]


def test_no_more_chats_are_pinned_than_may_be(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    (ada,) = people(1)
    chats = [ada.group() for _ in range(8)]
    monkeypatch.setattr(settings(), "max_pinned_chats", 3)

    def attempt(chat_id: int) -> bool:
        try:
            with app.app_context(), unit_of_work() as unit:
                return service.pin_chat(unit, ada.id, chat_id, True)["is_pinned"]
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, chats)) == 3
    pinned = [chat["id"] for chat in ada.get("/chats")["items"] if chat["is_pinned"]]
    assert len(pinned) == 3
    assert attempt(pinned[0])
    pin(ada, pinned[0], pinned=False)
    assert attempt(next(chat_id for chat_id in chats if chat_id not in pinned))


def test_a_chat_that_was_left_does_not_count_as_pinned(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = people(2)
    left, kept = ada.group(bob), ada.group(bob)
    monkeypatch.setattr(settings(), "max_pinned_chats", 1)
    pin(bob, left)
    leave(bob, left)
    with app.app_context(), unit_of_work() as unit:
        assert service.pin_chat(unit, bob.id, kept, True)["is_pinned"]


def test_a_mute_is_ones_own_and_for_good_or_until_a_moment(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    chat = ada.post(f"/chats/{group}/mute", {"muted": True}, status=200)
    assert (chat["is_muted"], chat["muted_until"]) == (True, None)
    until = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    chat = ada.post(f"/chats/{group}/mute", {"muted": True, "until": until}, status=200)
    assert (chat["is_muted"], chat["muted_until"]) == (True, until)
    assert not bob.get(f"/chats/{group}")["is_muted"]
    chat = ada.post(f"/chats/{group}/mute", {"muted": False}, status=200)
    assert (chat["is_muted"], chat["muted_until"]) == (False, None)


def test_a_mute_that_is_over_is_none(people: People) -> None:
    (ada,) = people(1)
    group = ada.group()
    until = rfc3339(datetime.now(UTC) + timedelta(hours=1))
    ada.post(f"/chats/{group}/mute", {"muted": True, "until": until})
    run("UPDATE user_chat_states SET muted_until = now() - interval '1 second' WHERE chat_id = :id", id=group)
    for chat in (ada.get(f"/chats/{group}"), ada.get("/chats")["items"][0]):
        assert (chat["is_muted"], chat["muted_until"]) == (False, None)


@pytest.mark.parametrize("written", ["2099-01-01T00:00:00Z", "2099-01-01T02:00:00+02:00", "2099-01-01T00:00:00.000z"])
def test_the_end_of_a_mute_is_a_time_in_any_zone(people: People, written: str) -> None:
    (ada,) = people(1)
    chat = ada.post(f"/chats/{ada.group()}/mute", {"muted": True, "until": written}, status=200)
    assert chat["muted_until"] == "2099-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"muted": 1},
        {"muted": True, "until": "2020-01-01T00:00:00Z"},
        {"muted": True, "until": "2099-01-01T00:00:00"},
        {"muted": True, "until": "2099-01-01"},
        {"muted": True, "until": "4102444800"},
        {"muted": True, "until": 4102444800},
        {"muted": True, "until": "tomorrow"},
        {"muted": True, "until": "infinity"},
        {"muted": True, "until": "9999-12-31T23:59:59-14:00"},
        {"muted": True, "until": "2099-13-01T00:00:00Z"},
        {"muted": False, "until": "2099-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_a_mute_without_sense_is_refused(people: People, body: dict[str, Any]) -> None:
    (ada,) = people(1)
    assert ada.call("POST", f"/chats/{ada.group()}/mute", body).status_code == 422


@pytest.mark.parametrize("kind", ["direct", "group", "channel"])
def test_clearing_a_history_is_for_oneself_and_reads_all(people: People, kind: str) -> None:
    ada, bob = people(2)
    make: dict[str, Callable[[Person], int]] = {
        "direct": ada.direct_chat,
        "group": ada.group,
        "channel": partial(channel, ada),
    }
    chat_id = make[kind](bob)
    last = [ada.send(chat_id, text) for text in ("one", "two")][-1]
    assert clear(bob, chat_id) == 204
    assert (texts(bob, chat_id), texts(ada, chat_id)) == ([], ["one", "two"])
    chat = bob.get(f"/chats/{chat_id}")
    assert (chat["unread_count"], chat["last_message"], chat["last_seq"]) == (0, None, 2)
    assert (chat["last_read_seq"], chat["last_read_message_id"]) == (2, last["id"])
    assert listed(bob) == [chat_id]
    ada.send(chat_id, "three")
    assert texts(bob, chat_id) == ["three"]
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 1


def test_clearing_for_everyone_is_for_direct_chats(people: People) -> None:
    ada, bob, eve = people(3)
    direct, group, news = ada.direct_chat(bob), ada.group(bob), channel(ada, bob)
    for chat_id in (direct, group, news):
        ada.send(chat_id, "hello")
        assert clear(eve, chat_id, for_everyone=True) == "not_found"
    assert [clear(ada, chat_id, for_everyone=True) for chat_id in (direct, group, news)] == [204] + ["forbidden"] * 2
    assert [texts(person, direct) for person in (ada, bob)] == [[], []]
    assert bob.get(f"/chats/{direct}")["unread_count"] == 0
    assert texts(bob, group) == ["hello"]
    assert set(listed(bob)) == {direct, group, news}


@pytest.mark.parametrize("for_everyone", [False, True])
def test_a_deleted_direct_chat_is_out_of_the_list_until_its_next_message(people: People, for_everyone: bool) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    ada.send(direct, "hello")
    pin(bob, direct)
    assert delete(bob, direct, for_everyone) == 204
    assert listed(bob) == []
    assert (listed(ada), texts(ada, direct)) == (([], []) if for_everyone else ([direct], ["hello"]))
    ada.send(direct, "are you there?")
    (chat,) = bob.get("/chats")["items"]
    assert (chat["id"], chat["unread_count"], chat["is_pinned"]) == (direct, 1, False)
    assert chat["last_message"]["text"] == "are you there?"
    assert (listed(ada), texts(bob, direct)) == ([direct], ["are you there?"])


def shown_by_event(person: Person, socket: Socket, chat_id: int, change: Callable[[], Any]) -> list[str]:
    """The names of the events that show a chat to a person, up to the sign of a later change of another chat."""
    begin = len(socket.events)
    change()
    sign = person.group()
    socket.next("chat_updated", id=sign)
    return [
        event["event"]
        for event in socket.events[begin:]
        if event["event"] in ("chat_updated", "chat_removed")
        and chat_id in (event["data"].get("id"), event["data"].get("chat_id"))
    ]


def test_a_direct_chat_is_shown_by_events_only_to_who_has_it_listed(people: People) -> None:
    ada, bob = people(2)
    with bob.socket() as his, ada.socket() as hers:
        direct = ada.direct_chat(bob)
        hers.next("chat_updated", id=direct)
        assert shown_by_event(bob, his, direct, lambda: clear(ada, direct, for_everyone=True)) == []
        # The hub has it nevertheless: the first message comes at once, and the chat with it.
        sent = ada.send(direct, "hello")
        assert his.next("new_message", chat_id=direct) == sent
        assert shown_by_event(bob, his, direct, lambda: clear(ada, direct, for_everyone=True)) == ["chat_updated"]


@pytest.mark.parametrize("change", ["clear", "pin"])
def test_a_direct_chat_out_of_the_list_does_not_come_back_by_an_event(people: People, change: str) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    ada.send(direct, "hello")
    with bob.socket() as his:
        assert shown_by_event(bob, his, direct, lambda: delete(bob, direct)) == ["chat_removed"]
        does: dict[str, Callable[[], Any]] = {
            "clear": lambda: clear(ada, direct, for_everyone=True),
            "pin": lambda: pin(bob, direct),
        }
        assert shown_by_event(bob, his, direct, does[change]) == []
    assert direct not in listed(bob)


def test_a_chat_says_up_to_where_its_history_was_cleared_for_its_viewer(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    for text in ("one", "two"):
        ada.send(direct, text)
    assert bob.get(f"/chats/{direct}")["cleared_seq"] == 0
    with bob.socket() as his:
        assert clear(bob, direct) == 204
        assert his.next("chat_updated", id=direct)["cleared_seq"] == 2
        ada.send(direct, "three")
        assert clear(ada, direct, for_everyone=True) == 204
        assert his.next("chat_updated", id=direct)["cleared_seq"] == 3
    assert [person.get("/chats")["items"][0]["cleared_seq"] for person in (ada, bob)] == [3, 3]


def test_what_stands_before_ones_membership_counts_as_cleared(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    run("UPDATE chat_members SET history_from_seq = 7 WHERE chat_id = :c AND user_id = :u", c=group, u=bob.id)
    assert [person.get(f"/chats/{group}")["cleared_seq"] for person in (ada, bob)] == [0, 7]


def test_a_deleted_direct_chat_is_the_same_chat_when_opened_again(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    assert delete(ada, direct) == 204
    assert listed(ada) == []
    assert ada.post("/chats", {"type": "direct", "user_id": bob.id}, status=200)["id"] == direct
    assert listed(ada) == [direct]


def test_saved_messages_can_be_deleted_and_begun_again(people: People) -> None:
    (ada,) = people(1)
    saved = ada.direct_chat(ada)
    ada.send(saved, "note")
    assert (delete(ada, saved, for_everyone=True), listed(ada)) == (204, [])
    ada.send(saved, "another")
    assert texts(ada, saved) == ["another"]


def test_a_stranger_deletes_no_direct_chat(people: People) -> None:
    ada, bob, eve = people(3)
    direct = ada.direct_chat(bob)
    assert [delete(eve, direct, for_everyone) for for_everyone in (False, True)] == ["not_found"] * 2
    assert listed(ada) == [direct]


def test_what_is_cleared_while_others_write_is_never_counted_wrong(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            writing = [pool.submit(ada.send, group, str(number)) for number in range(12)]
            clearing = [pool.submit(clear, bob, group) for _ in range(4)]
            assert [future.result() for future in clearing] == [204] * 4
            assert all(future.result()["id"] for future in writing)
        cleared = scalar(
            "SELECT cleared_seq FROM user_chat_states WHERE chat_id = :c AND user_id = :u", c=group, u=bob.id
        )
        chat = bob.get(f"/chats/{group}")
        assert isinstance(cleared, int)
        assert chat["unread_count"] == chat["last_seq"] - cleared == len(texts(bob, group))
        assert member_states(group)[bob.id].last_read_seq == cleared
        with reading() as unit:
            assert recount(unit, [group]) == []


def test_ones_own_settings_reach_the_other_devices_by_sync_and_nobody_else(people: People) -> None:
    ada, bob = people(2)
    group, direct = ada.group(bob), ada.direct_chat(bob)
    ada.send(direct, "hello")
    cursors = {person.id: person.caught_up() for person in (ada, bob)}
    before = {chat["id"]: chat["revision"] for chat in bob.get("/chats")["items"]}
    pin(ada, group)
    ada.post(f"/chats/{group}/mute", {"muted": True})
    delete(ada, direct)
    changes = ada.get("/sync", cursor=cursors[ada.id])
    assert [(chat["id"], chat["is_pinned"], chat["is_muted"]) for chat in changes["chats"] if chat["id"] == group] == [
        (group, True, True)
    ]
    assert direct in changes["removed_chat_ids"]
    assert {chat["id"]: chat["revision"] for chat in bob.get("/chats")["items"]} == before


def test_clearing_a_direct_chat_that_was_only_opened_shows_the_other_side_nothing(people: People) -> None:
    ada, bob = people(2)
    cursor = bob.caught_up()
    chat_id = ada.direct_chat(bob)
    assert ada.call("DELETE", f"/chats/{chat_id}/history?for_everyone=true").status_code == 204
    changed = bob.get("/sync", cursor=cursor)
    assert (changed["chats"], changed["removed_chat_ids"]) == ([], [])


def test_who_has_a_chat_not_in_the_list_sees_nobody_typing_in_it(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as hers, bob.socket() as his:
        assert hers.ask("typing", {"chat_id": chat_id, "is_typing": True})["event"] == "ack"
        assert [event for event in his.quiet() if event["event"] == "typing"] == []
        ada.send(chat_id, "hello")
        his.next("new_message")
        assert hers.ask("typing", {"chat_id": chat_id, "is_typing": True})["event"] == "ack"
        assert his.next("typing")["user_id"] == ada.id

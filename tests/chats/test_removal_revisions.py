"""The revision of `chat_removed`: past all that was seen of the chat before, and below that of coming back."""

from __future__ import annotations

import requests

from app.chats.locking import lock_chat, next_revision
from app.chats.service import pin_chat
from app.infra.db import UnitOfWork
from app.web.input import LARGEST_ID
from tests.chats.membership import Act, People, add, during, leave, remove
from tests.factories import run, scalar
from tests.people import Person

# Clocks are no order: what was stamped a while ahead must be passed as well.
_AHEAD = "next_message_id(message_id_at(now() + interval '1 hour'))"


def delete(person: Person, chat_id: int, query: str = "") -> requests.Response:
    return person.call("DELETE", f"/chats/{chat_id}{query}")


def test_a_removal_is_past_what_the_member_has_set_and_before_the_return(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    ways: tuple[Act, ...] = (lambda: remove(ada, group, bob), lambda: leave(bob, group))
    for go in ways:
        own = f"UPDATE user_chat_states SET revision = {_AHEAD} WHERE chat_id = :chat AND user_id = :user"
        run(own, chat=group, user=bob.id)
        seen = bob.get(f"/chats/{group}")["revision"]
        with bob.socket() as his:
            assert go().status_code == 204
            removed = his.next("chat_removed", chat_id=group)["revision"]
            assert add(ada, group, bob).status_code == 200
            back = his.next("chat_updated", id=group)["revision"]
        assert seen < removed < back


def test_a_removal_waits_for_what_the_member_is_setting(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    with bob.socket() as his:
        removed = during(lambda unit: pin_chat(unit, bob.id, group, True), lambda: remove(ada, group, bob))
        assert removed.status_code == 204
        pinned = scalar("SELECT revision FROM user_chat_states WHERE chat_id = :c AND user_id = :u", c=group, u=bob.id)
        assert his.next("chat_removed", chat_id=group)["revision"] > pinned


def test_the_removal_of_a_direct_chat_is_past_all_changes_of_the_chat(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    ada.send(direct, "hello")
    run(f"UPDATE chats SET revision = {_AHEAD} WHERE id = :chat", chat=direct)
    seen = {person.id: person.get(f"/chats/{direct}")["revision"] for person in (ada, bob)}
    with ada.socket() as hers, bob.socket() as his:
        assert delete(ada, direct, "?for_everyone=true").status_code == 204
        for person, socket in ((ada, hers), (bob, his)):
            assert socket.next("chat_removed", chat_id=direct)["revision"] > seen[person.id]


def test_the_removal_of_a_direct_chat_waits_for_a_change_of_the_chat(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    ada.send(direct, "hello")

    def edit(unit: UnitOfWork) -> None:
        next_revision(unit, lock_chat(unit, direct, bob.id))

    with ada.socket() as hers:
        assert during(edit, lambda: delete(ada, direct)).status_code == 204
        seen = scalar("SELECT revision FROM chats WHERE id = :chat", chat=direct)
        assert hers.next("chat_removed", chat_id=direct)["revision"] > seen


def test_nothing_is_later_than_the_end_of_a_chat(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    with bob.socket() as his:
        assert delete(ada, group).status_code == 204
        assert his.next("chat_removed", chat_id=group)["revision"] == LARGEST_ID


def test_who_does_not_have_a_direct_chat_in_the_list_is_not_told_that_it_is_removed(people: People) -> None:
    ada, bob, eve = people(3)
    opened, used = ada.direct_chat(bob), ada.direct_chat(eve)
    eve.send(used, "hello")
    with ada.socket() as hers, bob.socket() as his:
        for chat_id in (opened, used):
            assert delete(ada, chat_id, "?for_everyone=true").status_code == 204
            hers.next("chat_removed", chat_id=chat_id)
        assert delete(ada, used).status_code == 204
        for person, socket in ((ada, hers), (bob, his)):
            sign = person.group()
            socket.next("chat_updated", id=sign)
        gone = [event["data"]["chat_id"] for event in hers.events if event["event"] == "chat_removed"]
        assert gone == [opened, used]
        assert [event for event in his.events if event["event"] == "chat_removed"] == []


def test_catching_up_tells_a_removal_with_the_revision_of_the_event(people: People) -> None:
    ada, bob = people(2)
    group, direct = ada.group(bob), ada.direct_chat(bob)
    ada.send(direct, "hello")
    cursor = bob.caught_up()
    with bob.socket() as his:
        assert remove(ada, group, bob).status_code == 204
        assert delete(bob, direct).status_code == 204
        told = [his.next("chat_removed", chat_id=chat_id) for chat_id in (group, direct)]
    assert bob.get("/sync", cursor=cursor)["removed_chats"] == told


def test_the_end_of_a_chat_is_caught_up_past_what_a_member_was_just_setting(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    cursor = bob.caught_up()
    run(f"UPDATE user_chat_states SET revision = {_AHEAD} WHERE chat_id = :c AND user_id = :u", c=group, u=bob.id)
    seen = bob.get(f"/chats/{group}")["revision"]
    assert delete(ada, group).status_code == 204
    (removed,) = bob.get("/sync", cursor=cursor)["removed_chats"]
    assert (removed["chat_id"], removed["revision"] >= seen) == (group, True)

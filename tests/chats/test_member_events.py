"""What sockets are told when chats and their members change, and what they are not."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tests.chats.membership import (
    People,
    add,
    change,
    channel,
    crowd,
    give_role,
    join,
    leave,
    make_public,
    outcome,
    remove,
)
from tests.factories import scalar
from tests.people import Person, Socket
from tests.processes import Api, Worker


def settle(teller: Person, *sockets: Socket) -> None:
    """Waits until all that was told before has come: direct messages follow it, on each person's and chat's way."""
    for socket in sockets:
        if socket.hello["user_id"] == teller.id:
            continue
        direct = teller.post("/chats", {"type": "direct", "user_id": socket.hello["user_id"]})["id"]
        sent = teller.send(direct, "a sign")["id"]
        socket.next("new_message", id=sent)


def came(socket: Socket, name: str, **fields: Any) -> dict[str, Any]:
    """The data of an event that has come or will; those of a chat and those of a person may overtake each other."""
    for event in socket.events:
        if event["event"] == name and all(event["data"].get(key) == value for key, value in fields.items()):
            data: dict[str, Any] = event["data"]
            return data
    return socket.next(name, **fields)


def told(socket: Socket, name: str, chat_id: int) -> list[dict[str, Any]]:
    """The data of all events of a name about a chat that have come."""
    return [
        event["data"]
        for event in socket.events
        if event["event"] == name and chat_id in (event["data"].get("chat_id"), event["data"].get("id"))
    ]


def test_who_is_added_receives_the_chat_and_from_then_on_its_messages(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob)
    ada.send(group, "before")
    with bob.socket() as his, eve.socket() as hers:
        assert outcome(add(ada, group, eve)) == 200
        chat = hers.next("chat_updated", id=group)
        assert (chat["role"], chat["member_count"], chat["unread_count"]) == ("member", 3, 0)
        assert chat["last_message"]["service"] == {"action": "members_added", "user_ids": [eve.id]}
        assert came(his, "member_updated") == {"chat_id": group, "user_id": eve.id, "role": "member"}
        assert came(his, "new_message", chat_id=group)["service"]["action"] == "members_added"
        assert came(his, "chat_updated", id=group)["member_count"] == 3
        message = bob.send(group, "welcome")
        assert hers.next("new_message", text="welcome") == message


def test_who_is_removed_is_told_so_and_nothing_after_it(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob, eve)
    with bob.socket() as his, eve.socket() as hers:
        assert outcome(remove(ada, group, bob)) == 204
        assert his.next("chat_removed")["chat_id"] == group
        assert came(hers, "member_updated") == {"chat_id": group, "user_id": bob.id, "role": None}
        assert came(hers, "chat_updated", id=group)["member_count"] == 2
        assert change(ada, group, name="Without him").status_code == 200
        ada.send(group, "behind his back")
        eve.post(f"/chats/{group}/read")
        hers.next("new_message", text="behind his back")
        settle(ada, his)
        for name in ("new_message", "chat_updated", "member_updated", "read_receipt", "unread"):
            assert told(his, name, group) == []


def test_whoever_leaves_is_told_on_all_devices(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    with bob.socket() as phone, bob.socket() as desk, ada.socket() as hers:
        assert outcome(leave(bob, group)) == 204
        for device in (phone, desk):
            assert device.next("chat_removed")["chat_id"] == group
        assert hers.next("new_message", chat_id=group)["service"] == {"action": "member_left", "user_id": bob.id}


def test_who_joins_receives_what_comes(people: People) -> None:
    ada, bob = people(2)
    news = channel(ada)
    make_public(ada, news)
    with bob.socket() as his, ada.socket() as hers:
        assert outcome(join(bob, news)) == 200
        his.next("chat_updated", id=news)
        message = ada.send(news, "hello")
        assert his.next("new_message", chat_id=news) == message
        settle(bob, hers)
        assert told(hers, "member_updated", news) == []
        assert hers.events[-1]["event"] == "new_message"
        assert told(hers, "chat_updated", news)[-1]["member_count"] == 2


def test_a_role_is_told_to_all_of_a_group_and_to_that_person_only_in_a_channel(people: People) -> None:
    ada, bob, eve = people(3)
    group, news = ada.group(bob, eve), channel(ada, bob, eve)
    with bob.socket() as his, eve.socket() as hers:
        for chat_id in (news, group):
            assert outcome(give_role(ada, chat_id, bob, "admin")) == 200
            came(his, "member_updated", chat_id=chat_id, user_id=bob.id, role="admin")
            assert came(his, "chat_updated", id=chat_id)["role"] == "admin"
        hers.next("member_updated", chat_id=group, user_id=bob.id, role="admin")
        assert told(hers, "member_updated", news) == []


def test_a_new_name_is_told_to_all_each_with_their_own_view(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    bob.post(f"/chats/{group}/pin", {"pinned": True})
    with ada.socket() as hers, bob.socket() as his:
        change(ada, group, name="Chess")
        mine, other = hers.next("chat_updated", id=group), his.next("chat_updated", id=group)
        assert (mine["name"], mine["role"], mine["is_pinned"]) == ("Chess", "owner", False)
        assert (other["name"], other["role"], other["is_pinned"]) == ("Chess", "member", True)
        assert other == bob.get(f"/chats/{group}")


def test_a_deleted_chat_is_told_to_all_and_nothing_comes_after(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob)
    with ExitStack() as stack:
        sockets = [stack.enter_context(person.socket()) for person in (ada, bob, eve)]
        assert ada.call("DELETE", f"/chats/{group}").status_code == 204
        for socket in sockets[:2]:
            socket.next("chat_removed", chat_id=group)
        settle(bob, sockets[2])
        assert told(sockets[2], "chat_removed", group) == []


def test_ones_own_settings_are_told_to_ones_own_devices_only(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    with ada.socket() as hers, bob.socket() as his:
        ada.post(f"/chats/{group}/pin", {"pinned": True})
        assert hers.next("chat_updated", id=group)["is_pinned"]
        ada.post(f"/chats/{group}/mute", {"muted": True})
        assert hers.next("chat_updated", id=group)["is_muted"]
        ada.call("DELETE", f"/chats/{group}/history")
        hers.next("chat_updated", id=group)
        settle(ada, his)
        assert told(his, "chat_updated", group) == []


def test_a_deleted_direct_chat_comes_back_with_its_next_message(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    ada.send(direct, "hello")
    with ada.socket() as hers, bob.socket() as his:
        assert ada.call("DELETE", f"/chats/{direct}").status_code == 204
        hers.next("chat_removed", chat_id=direct)
        assert bob.call("DELETE", f"/chats/{direct}?for_everyone=true").status_code == 204
        his.next("chat_removed", chat_id=direct)
        message = bob.send(direct, "again")
        assert hers.next("new_message", chat_id=direct) == message


def test_a_removal_reaches_the_sockets_of_another_process(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    with bob.socket(second_api.url) as his:
        ada.send(group, "while he is here")
        his.next("new_message", chat_id=group)
        remove(ada, group, bob)
        his.next("chat_removed", chat_id=group)
        ada.send(group, "behind his back")
        settle(ada, his)
        assert [data["text"] for data in told(his, "new_message", group)] == ["while he is here"]


def test_a_large_chat_is_shown_anew_to_those_who_are_online(people: People, worker: Worker) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob, eve)
    crowd(group, 1_200)
    with bob.socket() as his:
        his.ask("presence", {"status": "online"})
        change(ada, group, name="Crowd")
        chat = his.next("chat_updated", id=group)
        assert (chat["name"], chat["member_count"], chat["role"]) == ("Crowd", 1_203, "member")
        assert outcome(remove(ada, group, eve)) == 204
        assert his.next("member_updated", chat_id=group)["user_id"] == eve.id


def test_a_large_channel_ends_for_all_at_once(people: People) -> None:
    ada, bob = people(2)
    news = channel(ada, bob)
    crowd(news, 20_000)
    with bob.socket() as his:
        his.ask("presence", {"status": "online"})
        assert ada.call("DELETE", f"/chats/{news}").status_code == 204
        his.next("chat_removed", chat_id=news)
    left = "SELECT count(*) FROM chat_members WHERE chat_id = :id AND left_at IS NULL"
    assert scalar(left, id=news) == 0

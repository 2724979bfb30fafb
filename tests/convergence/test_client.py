"""The client of these tests holds what is right although events about a chat come in another order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.chats.membership import add, remove
from tests.convergence.client import Client
from tests.convergence.truth import by_sql, difference, held
from tests.people import Person

People = Callable[[int], list[Person]]


def of_chat(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The last event of that name."""
    return [event for event in events if event["event"] == name][-1]


def test_a_removal_that_comes_after_the_return_leaves_the_chat_with_all_that_was_missed(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    lost = ada.send(group, "before")
    client = Client(bob)
    with bob.socket() as his:
        assert remove(ada, group, bob).status_code == 204
        assert ada.call("DELETE", f"/messages/{lost['id']}?for=everyone").status_code == 204
        ada.send(group, "behind his back")
        assert add(ada, group, bob).status_code == 200
        his.next("chat_updated", id=group)
        his.quiet()
    for name in ("chat_updated", "chat_removed"):
        client.handle(of_chat(his.events, name))
    assert difference(held(client), by_sql(bob)) == {}


def test_what_a_direct_chat_was_before_its_removal_does_not_bring_it_back(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    client = Client(bob)
    with bob.socket() as his:
        ada.send(direct, "hello")
        bob.post(f"/chats/{direct}/mute", {"muted": True})
        his.next("chat_updated", id=direct)
        assert bob.call("DELETE", f"/chats/{direct}").status_code == 204
        his.next("chat_removed", chat_id=direct)
        his.quiet()
    for name in ("chat_removed", "chat_updated", "new_message"):
        client.handle(of_chat(his.events, name))
    assert difference(held(client), by_sql(bob)) == {}
    ada.send(direct, "again")
    client.sync()
    assert difference(held(client), by_sql(bob)) == {}


def test_what_a_direct_chat_was_before_a_removal_that_catching_up_told_does_not_bring_it_back(people: People) -> None:
    ada, bob = people(2)
    direct = ada.direct_chat(bob)
    ada.send(direct, "hello")
    client = Client(bob)
    with bob.socket() as his:
        bob.post(f"/chats/{direct}/mute", {"muted": True})
        his.next("chat_updated", id=direct)
        assert bob.call("DELETE", f"/chats/{direct}").status_code == 204
        his.quiet()
    client.sync()
    client.handle(of_chat(his.events, "chat_updated"))
    assert difference(held(client), by_sql(bob)) == {}

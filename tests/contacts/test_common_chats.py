"""The groups that two people share."""

from __future__ import annotations

from collections.abc import Callable

from app.chats.common import CommonChatQuery, list_common_chats
from app.infra.db import reading
from tests.chats.membership import pages
from tests.counting import counted_statements
from tests.factories import run
from tests.people import Person

People = Callable[[int], list[Person]]


def shared(viewer: Person, other: Person) -> list[int]:
    return [chat["id"] for chat in viewer.get(f"/users/{other.id}/chats")["items"]]


def test_shared_groups_are_listed_newest_first_as_the_viewer_sees_them(people: People) -> None:
    ada, bob, eve = people(3)
    first, second = ada.group(bob), bob.group(ada, eve)
    ada.group(eve)
    ada.direct_chat(bob)
    ada.post("/chats", {"type": "channel", "name": "News", "member_ids": [bob.id]})
    assert shared(ada, bob) == shared(bob, ada) == [second, first]
    assert shared(eve, bob) == [second]
    for person, other, role in ((ada, bob, "owner"), (bob, ada, "member")):
        (chat,) = [chat for chat in person.get(f"/users/{other.id}/chats")["items"] if chat["id"] == first]
        assert chat == person.get(f"/chats/{first}")
        assert chat["role"] == role


def test_whoever_has_left_shares_the_group_no_more_on_either_side(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    leaving = "UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u"
    run(leaving, c=group, u=bob.id)
    assert shared(ada, bob) == shared(bob, ada) == []


def test_a_block_changes_nothing_of_what_is_shared(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    assert ada.call("POST", f"/users/{bob.id}/block").status_code == 204
    assert shared(ada, bob) == shared(bob, ada) == [group]


def test_pages_hold_every_shared_group_once(people: People) -> None:
    ada, bob = people(2)
    groups = [ada.group(bob) for _ in range(5)]
    listed = list(pages(ada, f"/users/{bob.id}/chats", limit=2))
    assert [len(page) for page in listed] == [2, 2, 1]
    assert [chat["id"] for page in listed for chat in page] == groups[::-1]


def test_unknown_and_erased_people_share_nothing_that_is_told(people: People) -> None:
    ada, gone = people(2)
    ada.group(gone)
    run("UPDATE users SET deleted_at = now() WHERE id = :g", g=gone.id)
    for user_id in (gone.id, 2**53 - 1):
        assert ada.call("GET", f"/users/{user_id}/chats").status_code == 404
    assert ada.call("GET", f"/users/{ada.id}/chats", params={"cursor": "x"}).status_code == 422


def test_a_page_is_two_statements_however_many_groups_there_are(people: People) -> None:
    ada, bob = people(2)
    for _ in range(6):
        ada.group(bob)
    with counted_statements() as statements, reading() as unit:
        page = list_common_chats(unit, ada.id, bob.id, CommonChatQuery())
    assert len(page["items"]) == 6
    assert len(statements) == 2

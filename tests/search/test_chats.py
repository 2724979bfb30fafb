"""Finding public groups and channels by name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from tests.factories import run, scalar
from tests.people import Person
from tests.processes import Worker, eventually
from tests.search.scenes import index

People = Callable[[int], list[Person]]


@pytest.fixture
def mark() -> str:
    """A beginning of names that no other test has."""
    return "q" + secrets.token_hex(5)


def public(owner: Person, name: str, username: str, kind: str = "group", members: int = 0) -> int:
    """The id of a new public chat, in the index; it looks as if it had some more members."""
    chat_id: int = owner.post("/chats", {"type": kind, "name": name})["id"]
    owner.call("PUT", f"/chats/{chat_id}", {"username": username})
    run("UPDATE chats SET member_count = member_count + :n WHERE id = :c", n=members, c=chat_id)
    index(chat_id)
    return chat_id


def found(person: Person, q: str, **query: Any) -> list[int]:
    return [chat["id"] for chat in person.get("/chats/search", q=q, **query)["items"]]


def test_public_chats_are_found_by_beginnings_of_their_names_without_accents_and_private_ones_are_not(
    people: People, mark: str
) -> None:
    ada, bob = people(2)
    group = public(ada, f"Café Zürich {mark}", f"{mark}_cafe")
    channel = public(ada, f"Новости Ёлки {mark}", f"{mark}_news", "channel", members=5)
    private = ada.post("/chats", {"type": "group", "name": f"Secret {mark}"})["id"]
    index(private)
    for person in (ada, bob):
        assert found(person, mark) == [channel, group]
        assert found(person, f"{mark} CAFE") == [group]
        assert found(person, f"zuri {mark}") == [group]
        assert found(person, f"елк {mark}") == [channel]
        assert found(person, f"{mark}_n") == [channel]
        assert found(person, f"@{mark}_CAFE") == [group]
        for nothing in (f"{mark} afe", f"{mark} secret", f"{mark} bern", "@", "..."):
            assert found(person, nothing) == []


def test_a_found_chat_says_what_everybody_may_know_and_whether_one_is_in_it(people: People, mark: str) -> None:
    ada, bob = people(2)
    chat_id = public(ada, "Everybody", mark)
    shown = {
        "id": chat_id,
        "type": "group",
        "name": "Everybody",
        "username": mark,
        "description": None,
        "avatar_url": None,
        "member_count": 1,
    }
    assert bob.get("/chats/search", q=mark)["items"] == [shown | {"is_member": False}]
    assert ada.get("/chats/search", q=mark)["items"] == [shown | {"is_member": True}]
    bob.post(f"/chats/{chat_id}/join")
    assert bob.get("/chats/search", q=mark)["items"] == [shown | {"is_member": True, "member_count": 2}]
    bob.post(f"/chats/{chat_id}/leave", status=204)
    assert bob.get("/chats/search", q=mark)["items"] == [shown | {"is_member": False}]


def test_the_one_with_the_username_comes_first_then_the_largest_page_by_page(people: People, mark: str) -> None:
    (ada,) = people(1)
    small = public(ada, mark, f"{mark}_small")
    large = [public(ada, f"{mark} {n}", f"{mark}_{n}", members=7) for n in range(2)]
    exact = public(ada, "Other", mark)
    expected = [exact, *large, small]
    assert found(ada, mark) == expected
    for limit in (1, 2, 3):
        seen: list[int] = []
        cursor: str | None = None
        while True:
            query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = ada.get("/chats/search", q=mark, **query)
            seen += [chat["id"] for chat in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == expected


def test_a_new_name_is_found_soon_and_a_chat_that_is_private_again_at_once_not(
    people: People, mark: str, worker: Worker
) -> None:
    ada, bob = people(2)
    chat_id = public(ada, f"{mark}old", f"{mark}_x")
    ada.call("PUT", f"/chats/{chat_id}", {"name": f"{mark}new"})
    eventually(lambda: found(bob, f"{mark}new") == [chat_id] and found(bob, f"{mark}old") == [])
    ada.call("PUT", f"/chats/{chat_id}", {"username": None})
    assert found(bob, f"{mark}new") == []
    eventually(lambda: scalar("SELECT count(*) FROM chat_names WHERE chat_id = :c", c=chat_id) == 0)


def test_a_deleted_chat_is_not_found(people: People, mark: str) -> None:
    (ada,) = people(1)
    chat_id = public(ada, mark, f"{mark}_x")
    ada.call("DELETE", f"/chats/{chat_id}")
    assert found(ada, mark) == []


@pytest.mark.parametrize(
    "query", [{}, {"q": ""}, {"q": "x" * 65}, {"q": "a", "cursor": "W10"}, {"q": "a", "page": 2}], ids=str
)
def test_a_question_that_is_none_is_refused(people: People, query: dict[str, Any]) -> None:
    (ada,) = people(1)
    assert ada.call("GET", "/chats/search", params=query).status_code == 422

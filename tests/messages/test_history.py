"""History: pages by message id, newest first, for members only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.people import Person

People = Callable[[int], list[Person]]


def texts(page: dict[str, list[dict[str, str]]]) -> list[str]:
    return [message["text"] for message in page["items"]]


@pytest.fixture
def ten(people: People) -> tuple[Person, int, list[int]]:
    """Somebody, a chat with the messages 1 to 10, and their ids."""
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    return bob, chat_id, [ada.send(chat_id, str(number))["id"] for number in range(1, 11)]


def test_the_newest_come_first_and_tell_that_there_are_older_ones(ten: tuple[Person, int, list[int]]) -> None:
    bob, chat_id, _ = ten
    page = bob.get(f"/chats/{chat_id}/messages", limit=4)
    assert texts(page) == ["10", "9", "8", "7"]
    assert (page["has_more_before"], page["has_more_after"]) == (True, False)


def test_pages_before_a_message_lead_to_the_beginning(ten: tuple[Person, int, list[int]]) -> None:
    bob, chat_id, ids = ten
    page = bob.get(f"/chats/{chat_id}/messages", before=ids[4], limit=3)
    assert texts(page) == ["4", "3", "2"]
    assert (page["has_more_before"], page["has_more_after"]) == (True, True)
    page = bob.get(f"/chats/{chat_id}/messages", before=ids[1], limit=3)
    assert texts(page) == ["1"]
    assert page["has_more_before"] is False


def test_pages_after_a_message_lead_to_the_end(ten: tuple[Person, int, list[int]]) -> None:
    bob, chat_id, ids = ten
    page = bob.get(f"/chats/{chat_id}/messages", after=ids[4], limit=3)
    assert texts(page) == ["8", "7", "6"]
    assert (page["has_more_before"], page["has_more_after"]) == (True, True)
    page = bob.get(f"/chats/{chat_id}/messages", after=ids[7], limit=3)
    assert texts(page) == ["10", "9"]
    assert page["has_more_after"] is False
    assert bob.get(f"/chats/{chat_id}/messages", after=1, limit=100)["has_more_before"] is False


def test_a_page_around_a_message_has_it_in_the_middle(ten: tuple[Person, int, list[int]]) -> None:
    bob, chat_id, ids = ten
    page = bob.get(f"/chats/{chat_id}/messages", around=ids[4], limit=4)
    assert texts(page) == ["7", "6", "5", "4"]
    assert (page["has_more_before"], page["has_more_after"]) == (True, True)
    page = bob.get(f"/chats/{chat_id}/messages", around=ids[9], limit=100)
    assert len(page["items"]) == 10
    assert (page["has_more_before"], page["has_more_after"]) == (False, False)


def test_an_id_that_is_no_message_of_the_chat_is_a_place_in_time_all_the_same(
    ten: tuple[Person, int, list[int]],
) -> None:
    bob, chat_id, ids = ten
    elsewhere = bob.send(bob.post("/chats", {"type": "direct", "user_id": bob.id})["id"], "elsewhere")["id"]
    for unknown in (elsewhere, 2**53 - 1):
        page = bob.get(f"/chats/{chat_id}/messages", before=unknown, limit=2)
        assert (texts(page), page["has_more_after"]) == (["10", "9"], False)
        assert texts(bob.get(f"/chats/{chat_id}/messages", after=unknown)) == []
        assert texts(bob.get(f"/chats/{chat_id}/messages", around=unknown, limit=4)) == ["10", "9"]
    between = ids[4] + 1
    assert texts(bob.get(f"/chats/{chat_id}/messages", before=between, limit=2)) == ["5", "4"]
    assert texts(bob.get(f"/chats/{chat_id}/messages", after=between, limit=2)) == ["7", "6"]
    assert texts(bob.get(f"/chats/{chat_id}/messages", before=1)) == []


def test_a_chat_without_messages_is_an_empty_page(people: People) -> None:
    ada, bob = people(2)
    page = ada.get(f"/chats/{ada.group(bob)}/messages")
    assert page == {"items": [], "has_more_before": False, "has_more_after": False}


def test_strangers_and_the_unknown_get_the_same_answer(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.direct_chat(bob)
    for path in (f"/chats/{chat_id}/messages", f"/chats/{2**53 - 1}/messages"):
        assert eve.call("GET", path).status_code == 404


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "before=0", "before=9007199254740992", "before=1&after=2", "page=2"]
)
def test_a_bad_query_is_refused(people: People, query: str) -> None:
    (ada,) = people(1)
    saved = ada.post("/chats", {"type": "direct", "user_id": ada.id})["id"]
    assert ada.call("GET", f"/chats/{saved}/messages?{query}").status_code == 422

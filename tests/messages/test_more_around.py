"""A page of history says whether there is more before and after it that its reader may see."""

from __future__ import annotations

import pytest

from tests.messages.scenes import People


@pytest.mark.parametrize("gone", ["cleared", "deleted", "hidden"])
def test_a_page_after_a_message_tells_of_nothing_before_it_where_all_of_that_is_gone(people: People, gone: str) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    ids = [ada.send(chat_id, text)["id"] for text in ("one", "two")]
    paths = {
        "cleared": [f"/chats/{chat_id}/history"],
        "deleted": [f"/messages/{message_id}?for=everyone" for message_id in ids],
        "hidden": [f"/messages/{message_id}" for message_id in ids],
    }
    for path in paths[gone]:
        assert ada.call("DELETE", path).status_code in (200, 204)
    last = ada.send(chat_id, "three")["id"]
    page = ada.get(f"/chats/{chat_id}/messages", after=ids[1])
    assert ([message["id"] for message in page["items"]], page["has_more_before"]) == ([last], False)


def test_a_page_after_a_message_tells_of_that_message_itself(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, second = (ada.send(chat_id, text)["id"] for text in ("one", "two"))
    page = ada.get(f"/chats/{chat_id}/messages", after=first)
    assert ([message["id"] for message in page["items"]], page["has_more_before"]) == ([second], True)


@pytest.mark.parametrize("gone", ["deleted", "hidden"])
def test_a_page_before_a_message_tells_of_nothing_after_it_where_all_of_that_is_gone(people: People, gone: str) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, *others = (ada.send(chat_id, text)["id"] for text in ("one", "two", "three"))
    for message_id in others:
        path = f"/messages/{message_id}" + ("?for=everyone" if gone == "deleted" else "")
        assert ada.call("DELETE", path).status_code in (200, 204)
    for place in (*others, first + 1):
        page = ada.get(f"/chats/{chat_id}/messages", before=place)
        assert ([message["id"] for message in page["items"]], page["has_more_after"]) == ([first], False)


def test_a_page_before_a_message_tells_of_that_message_itself(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, second = (ada.send(chat_id, text)["id"] for text in ("one", "two"))
    for place in (second, first + 1):
        page = ada.get(f"/chats/{chat_id}/messages", before=place)
        assert ([message["id"] for message in page["items"]], page["has_more_after"]) == ([first], True)

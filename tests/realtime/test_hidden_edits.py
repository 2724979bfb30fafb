"""Who has deleted a message for oneself, alone or with the direct chat, hears nothing of it any more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.people import Person

People = Callable[[int], list[Person]]


def test_the_new_text_of_an_edited_message_is_not_sent_to_who_has_deleted_it_for_oneself(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    message_id = ada.send(chat_id, "before")["id"]
    assert bob.call("DELETE", f"/messages/{message_id}").status_code == 204
    with bob.socket() as without, eve.socket() as others:
        assert ada.call("PUT", f"/messages/{message_id}", {"text": "after"}).status_code == 200
        assert others.next("message_updated", id=message_id)["text"] == "after"
        # What comes behind it by the same way.
        ada.send(chat_id, "next")
        without.next("new_message", text="next")
        assert [event["data"] for event in without.events if event["event"] == "message_updated"] == []


@pytest.mark.parametrize("path", ["/chats/{}", "/chats/{}/history"])
def test_the_new_text_of_a_message_is_not_sent_to_who_has_deleted_the_direct_chat_or_its_history(
    people: People, path: str
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "before")["id"]
    assert bob.call("DELETE", path.format(chat_id)).status_code == 204
    with bob.socket() as without, ada.socket() as others:
        assert ada.call("PUT", f"/messages/{message_id}", {"text": "after"}).status_code == 200
        assert others.next("message_updated", id=message_id)["text"] == "after"
        new = ada.send(chat_id, "next")
        without.next("new_message", text="next")
        assert [event["data"] for event in without.events if event["event"] == "message_updated"] == []
        # What comes after is edited for both.
        assert ada.call("PUT", f"/messages/{new['id']}", {"text": "last"}).status_code == 200
        assert without.next("message_updated", id=new["id"])["text"] == "last"

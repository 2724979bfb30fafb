"""Deleting as people do it, and what is left to see."""

from __future__ import annotations

from app.infra.db import unit_of_work
from app.messages import unread
from tests.people import Person


def delete(person: Person, message_id: int, whom: str = "everyone") -> int:
    """Deletes a message for `everyone` or for `me`; the status of the answer."""
    return person.call("DELETE", f"/messages/{message_id}?for={whom}").status_code


def texts(person: Person, chat_id: int) -> list[str]:
    """The texts of the newest messages that a person sees, the newest first."""
    return [message["text"] for message in person.get(f"/chats/{chat_id}/messages")["items"]]


def assert_counts_are_right(chat_id: int) -> None:
    """Counting anew changes nothing."""
    with unit_of_work() as unit:
        assert unread.recount(unit, [chat_id]) == []

"""Chats in which everybody has a part, and what several do at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.factories import run
from tests.people import Person

People = Callable[[int], list[Person]]


def cast(people: People, kind: str) -> tuple[int, dict[str, Person]]:
    """A chat of a kind, and who is who in it: `sender` may post there, `former` has left, `stranger` never came."""
    if kind == "direct":
        sender, peer, stranger = people(3)
        return sender.direct_chat(peer), {"sender": sender, "peer": peer, "stranger": stranger}
    owner, admin, sender, member, former, stranger = people(6)
    body = {"type": kind, "name": "A chat", "member_ids": [p.id for p in (admin, sender, member, former)]}
    chat_id: int = owner.post("/chats", body)["id"]
    give_role(chat_id, admin, "admin")
    if kind == "channel":
        give_role(chat_id, sender, "admin")
    leave(chat_id, former)
    names = ("owner", "admin", "sender", "member", "former", "stranger")
    return chat_id, dict(zip(names, (owner, admin, sender, member, former, stranger), strict=True))


def give_role(chat_id: int, person: Person, role: str) -> None:
    """Makes a member an admin, or an admin a member."""
    run("UPDATE chat_members SET role = :r WHERE chat_id = :c AND user_id = :u", r=role, c=chat_id, u=person.id)


def leave(chat_id: int, person: Person) -> None:
    """Ends a membership as leaving does."""
    run("UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u", c=chat_id, u=person.id)
    run(
        "UPDATE chats SET members_revision = next_message_id(GREATEST(members_revision, revision)) WHERE id = :c",
        c=chat_id,
    )


def together(*actions: Callable[[], Any]) -> list[Any]:
    """Runs the actions at the same moment; their results."""
    start = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        start.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))

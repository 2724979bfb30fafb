"""Fills the database for the benchmark of scale: somebody in many chats, large chats, and others who are in the way.

Run with Sizes as JSON; prints a Scene.
"""

from __future__ import annotations

import json
import sys
from typing import TypedDict

from sqlalchemy import text

from app.factory import create_app
from app.infra.db import unit_of_work
from bench import crowd
from bench.people import access_token, sign_in

_OTHERS_AT_ONCE = 2_000
_MESSAGES_EACH = 100


class Sizes(TypedDict):
    """How much is wanted."""

    chats: int
    """Of the busy person."""
    members: list[int]
    """Of each channel."""
    others: int
    """Messages of people who have nothing to do with them."""


class Hall(TypedDict):
    """A channel."""

    chat: int
    members: int
    owner: int
    token: str
    """The owner's."""


class Scene(TypedDict):
    """What is there."""

    busy: int
    token: str
    """The busy person's."""
    chats: list[int]
    """The busy person's."""
    friends: dict[str, str]
    """The token of who wrote in a chat of the busy person, for the first of these, by chat."""
    halls: list[Hall]


_OWNERS = text("SELECT id, created_by FROM chats WHERE id = ANY (CAST(:chats AS bigint[])) ORDER BY id")


def _make(sizes: Sizes) -> Scene:
    with unit_of_work() as unit:
        crowd.begin(unit)
        busy, chats = crowd.add_busy_person(unit, sizes["chats"], messages_each=50)
        owners = {row.id: row.created_by for row in unit.execute(_OWNERS, {"chats": chats[:100]})}
        sign_in(unit, [busy, *set(owners.values())])
    halls = []
    for size in sizes["members"]:
        with unit_of_work() as unit:
            crowd.begin(unit)
            chat, people = crowd.add_large_chat(unit, "channel", size, _MESSAGES_EACH)
            sign_in(unit, people[:1])
        halls.append((chat, size, people[0]))
    for _ in range(sizes["others"] // (_OTHERS_AT_ONCE * _MESSAGES_EACH)):
        with unit_of_work() as unit:
            crowd.begin(unit)
            crowd.add_others(unit, _OTHERS_AT_ONCE, _MESSAGES_EACH)
    with unit_of_work() as unit:
        crowd.begin(unit)
        unit.execute(text("ANALYZE"))
    with create_app().app_context():
        return {
            "busy": busy,
            "token": access_token(busy),
            "chats": chats,
            "friends": {str(chat): access_token(owner) for chat, owner in owners.items()},
            "halls": [
                {"chat": chat, "members": size, "owner": owner, "token": access_token(owner)}
                for chat, size, owner in halls
            ],
        }


if __name__ == "__main__":
    json.dump(_make(json.loads(sys.argv[1])), sys.stdout)

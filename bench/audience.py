"""Who is there in the benchmarks of sockets and of reading: made by the statements of crowd.py, and signed in.

Run with a Plan as JSON; prints an Audience.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, TypedDict

from sqlalchemy import text

from app.factory import create_app
from app.infra.db import unit_of_work
from bench import crowd
from bench.people import access_token, sign_in
from bench.stack import Stack

CIRCLE = 10
"""People of a circle, and chats of a circle; each of its people is in each of its chats."""

_MEMBERS = text("""
    SELECT m.chat_id, array_agg(m.user_id ORDER BY m.user_id) FROM chat_members m JOIN chats c ON c.id = m.chat_id
    WHERE c.type = 'group' GROUP BY m.chat_id ORDER BY m.chat_id""")


class Plan(TypedDict):
    """Who is wanted."""

    halls: list[int]
    """Channels with so many members besides their owner; smaller ones have the first members of larger ones."""
    circles: int
    """Circles: ten people and ten groups, in which each of them is."""
    messages: int
    """Messages in each group of a circle."""


class Circle(TypedDict):
    """Ten people who share ten groups."""

    people: list[int]
    tokens: list[str]
    chats: list[int]


class Audience(TypedDict):
    """Who is there."""

    listeners: list[str]
    """Tokens of the members of the channels."""
    halls: list[int]
    """The channels, in the order of the plan."""
    owner: str
    """The token of the owner of all channels."""
    friends_chat: int
    """A direct chat of two others."""
    friends: list[str]
    """Their tokens."""
    circles: list[Circle]


def fill(stack: Stack, halls: list[int], circles: int = 0, messages: int = 0) -> Audience:
    """Fills the database of a stack whose processes do not run yet. What is there already counts, circle by circle."""
    plan: Plan = {"halls": halls, "circles": circles, "messages": messages}
    audience: Audience = json.loads(stack.run("-m", "bench.audience", json.dumps(plan)))
    return audience


def _make(plan: Plan) -> Audience:
    with unit_of_work() as unit:
        crowd.begin(unit)
        owner, *listeners = crowd.add_people(unit, 1 + max(plan["halls"], default=0))
        halls = [crowd.add_chats(unit, "channel", [[owner, *listeners[:size]]])[0] for size in plan["halls"]]
        friends = crowd.add_people(unit, 2)
        friends_chat = crowd.add_chats(unit, "direct", [friends])[0]
        sign_in(unit, [owner, *listeners, *friends])
    circles = _circles(plan["circles"], plan["messages"])
    with unit_of_work() as unit:
        crowd.begin(unit)
        sign_in(unit, [person for circle in circles for person in circle["people"]])
        unit.execute(text("ANALYZE"))
    with create_app().app_context():
        for circle in circles:
            circle["tokens"] = [access_token(person) for person in circle["people"]]
        return {
            "listeners": [access_token(person) for person in listeners],
            "halls": halls,
            "owner": access_token(owner),
            "friends_chat": friends_chat,
            "friends": [access_token(person) for person in friends],
            "circles": circles,
        }


def _circles(count: int, messages: int) -> list[Circle]:
    """The circles that are there, and new ones up to `count`, each in a transaction of its own."""
    with unit_of_work() as unit:
        crowd.begin(unit)
        found: dict[tuple[int, ...], list[int]] = {}
        rows: Iterable[Any] = unit.execute(_MEMBERS)
        for chat_id, people in rows:
            found.setdefault(tuple(people), []).append(chat_id)
    while len(found) < count:
        with unit_of_work() as unit:
            crowd.begin(unit)
            people = crowd.add_people(unit, CIRCLE)
            chats = crowd.add_chats(unit, "group", [people[n:] + people[:n] for n in range(CIRCLE)])
            crowd.add_messages(unit, chats, messages)
        found[tuple(sorted(people))] = chats
    return [{"people": list(people), "tokens": [], "chats": chats} for people, chats in list(found.items())[:count]]


if __name__ == "__main__":
    json.dump(_make(json.loads(sys.argv[1])), sys.stdout)

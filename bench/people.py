"""The people and chats that are written to: who is in which chat is arithmetic, so pgbench and the clients agree.

Chats 1 to 500 are direct, between persons 1 and 2, 3 and 4, ...; chats 501 to 1000 are groups of ten, each the next
ten of persons 1 to 1000, around and around. Chats 1001 to 1020 are groups of ten with persons 1001 to 1200, who are
online over sockets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from sqlalchemy import text

from app.auth.service import index_names
from app.auth.tokens import make_pair, new_token_id
from app.factory import create_app
from app.infra.db import UnitOfWork, unit_of_work

DIRECT_CHATS = 500
CHATS = 1000
PEOPLE = 1000
GROUP_SIZE = 10
SOCKET_GROUPS = 20
SOCKET_PEOPLE = SOCKET_GROUPS * GROUP_SIZE

_PEOPLE = text("""
    INSERT INTO users (id, phone, username, first_name)
    SELECT n, '+1555' || lpad(n::text, 7, '0'), 'person' || n, 'Person' FROM generate_series(1, :people) n""")
_SESSIONS = text("""
    INSERT INTO sessions (id, user_id, refresh_hash, device, expires_at)
    SELECT ('00000000-0000-4000-8000-' || 100000000000 + n)::uuid, n, ''::bytea, 'bench', now() + interval '1 day'
    FROM unnest(CAST(:people AS bigint[])) n ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at""")
_CHATS = text("""
    INSERT INTO chats (id, type, name, direct_key, member_count)
    SELECT n, 'direct', NULL, 2 * n - 1 || ':' || 2 * n, 2 FROM generate_series(1, :direct) n
    UNION ALL
    SELECT n, 'group', 'Group ' || n, NULL, :size FROM generate_series(:direct + 1, :chats + :socket_groups) n""")
_MEMBERS = text("""
    INSERT INTO chat_members (chat_id, user_id)
    SELECT n, 2 * n - 1 + m FROM generate_series(1, :direct) n, generate_series(0, 1) m
    UNION ALL
    SELECT n, ((n - :direct - 1) * :size + m) % :people + 1
    FROM generate_series(:direct + 1, :chats) n, generate_series(0, :size - 1) m
    UNION ALL
    SELECT :chats + g, :people + (g - 1) * :size + m + 1
    FROM generate_series(1, :socket_groups) g, generate_series(0, :size - 1) m""")
_STATES = text("INSERT INTO user_chat_states (user_id, chat_id) SELECT user_id, chat_id FROM chat_members")


class People(TypedDict):
    """Who may write where."""

    writers: list[tuple[int, str]]
    """A chat and a member's access token, for each member of chats 1 to 1000."""
    groups: list[tuple[int, list[str]]]
    """A chat and all members' access tokens, for each of chats 1001 to 1020."""


def session_id(person: int) -> UUID:
    """The session on which a person is signed in."""
    return UUID(f"00000000-0000-4000-8000-{100_000_000_000 + person}")


def members(chat: int) -> list[int]:
    """The persons of a chat."""
    if chat <= DIRECT_CHATS:
        return [2 * chat - 1, 2 * chat]
    if chat <= CHATS:
        return [((chat - DIRECT_CHATS - 1) * GROUP_SIZE + m) % PEOPLE + 1 for m in range(GROUP_SIZE)]
    return [PEOPLE + (chat - CHATS - 1) * GROUP_SIZE + m + 1 for m in range(GROUP_SIZE)]


def sign_in(unit: UnitOfWork, people: Sequence[int]) -> None:
    """Gives each of the people the session of `session_id`."""
    unit.execute(_SESSIONS, {"people": list(people)})


def access_token(person: int) -> str:
    """An access token of a signed-in person, made by the application itself; needs the application's context."""
    return make_pair(person, session_id(person), new_token_id())["access_token"]


def fill(unit: UnitOfWork) -> None:
    """Writes everybody and every chat into an empty database."""
    unit.execute(_PEOPLE, {"people": PEOPLE + SOCKET_PEOPLE})
    index_names(unit, range(1, PEOPLE + SOCKET_PEOPLE + 1))
    sign_in(unit, range(1, PEOPLE + SOCKET_PEOPLE + 1))
    counts = {"direct": DIRECT_CHATS, "chats": CHATS, "size": GROUP_SIZE, "socket_groups": SOCKET_GROUPS}
    unit.execute(_CHATS, counts)
    unit.execute(_MEMBERS, counts | {"people": PEOPLE})
    unit.execute(_STATES)
    unit.execute(text("ANALYZE"))


def signed_in() -> People:
    """Tokens of everybody, made by the application itself."""
    token = {person: access_token(person) for person in range(1, PEOPLE + SOCKET_PEOPLE + 1)}
    return {
        "writers": [(chat, token[person]) for chat in range(1, CHATS + 1) for person in members(chat)],
        "groups": [
            (chat, [token[person] for person in members(chat)]) for chat in range(CHATS + 1, CHATS + SOCKET_GROUPS + 1)
        ],
    }


if __name__ == "__main__":
    with unit_of_work() as filling:
        fill(filling)
    with create_app().app_context():
        json.dump(signed_in(), sys.stdout)

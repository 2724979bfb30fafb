"""What a chat is called, and its end. All that writes is for a chat whose row is locked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from app.chats.queries import members
from app.infra.db import UnitOfWork
from app.models import Chat


class Details(NamedTuple):
    """What the owner and admins may change of a chat."""

    name: str | None
    description: str | None
    username: str | None
    avatar_file_id: UUID | None


_DETAILS = text("SELECT name, description, username, avatar_file_id FROM chats WHERE id = :chat_id")
_IS_A_PERSONS = text("SELECT EXISTS (SELECT FROM users WHERE lower(username) = lower(:username))")

_END = text("""
    UPDATE chats SET deleted_at = now(), username = NULL, avatar_file_id = NULL, member_count = 0
    WHERE id = :chat_id""")
# A channel has any number of members, and a statement has a time-out: so it takes many.
_DISMISS = text("""
    UPDATE chat_members SET left_at = now(), role = 'member', revision = :revision
    WHERE chat_id = :chat_id AND user_id = ANY (CAST(:user_ids AS bigint[]))""")
_BATCH = 1000


def details(unit: UnitOfWork, chat_id: int) -> Details:
    """What the chat is called now."""
    return Details._make(unit.execute(_DETAILS, {"chat_id": chat_id}).one())


def is_a_persons(unit: UnitOfWork, username: str) -> bool:
    """Whether a person has the username, in whatever case."""
    return bool(unit.execute(_IS_A_PERSONS, {"username": username}).scalar())


def change(unit: UnitOfWork, chat_id: int, changes: Mapping[str, Any]) -> bool:
    """Changes columns of the chat; False where another chat has the username, and then the unit must be given up."""
    try:
        unit.execute(update(Chat).where(Chat.id == chat_id).values(**changes))
    except IntegrityError:
        return False
    return True


def end(unit: UnitOfWork, chat_id: int, revision: int) -> list[int]:
    """Ends the chat for all: nobody is in it any more, its username is free; answers who was in it."""
    unit.execute(_END, {"chat_id": chat_id})
    dismissed: list[int] = []
    while True:
        batch = members.ids(unit, chat_id, dismissed[-1] if dismissed else 0, _BATCH)
        unit.execute(_DISMISS, {"chat_id": chat_id, "revision": revision, "user_ids": batch})
        dismissed += batch
        if len(batch) < _BATCH:
            return dismissed

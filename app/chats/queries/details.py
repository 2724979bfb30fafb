"""What a chat is called, and its end. All that writes is for a chat whose row is locked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from app.infra.db import UnitOfWork
from app.models import Chat


class Details(NamedTuple):
    """What the owner and admins may change of a chat."""

    name: str | None
    description: str | None
    username: str | None


_DETAILS = text("SELECT name, description, username FROM chats WHERE id = :chat_id")
_IS_A_PERSONS = text("SELECT EXISTS (SELECT FROM users WHERE lower(username) = lower(:username))")

# 200,000 members take about two seconds, in which the chat's row is held; nobody needs it any more.
_ALLOW_TIME = text("SET LOCAL statement_timeout = '60s'")
_END = text("""
    WITH ended AS (
      UPDATE chats SET deleted_at = now(), username = NULL, member_count = 0 WHERE id = :chat_id)
    UPDATE chat_members SET left_at = now(), role = 'member', revision = :revision
    WHERE chat_id = :chat_id AND left_at IS NULL RETURNING user_id""")


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
    unit.execute(_ALLOW_TIME)
    return list(unit.execute(_END, {"chat_id": chat_id, "revision": revision}).scalars())

"""Who is in a chat, for other domains and the hubs."""

from __future__ import annotations

from app.chats.queries import membership as queries
from app.errors import NotFound
from app.infra.db import UnitOfWork


def membership(unit: UnitOfWork, chat_id: int, user_id: int) -> queries.Membership:
    """The caller's membership; raises NotFound for strangers and former members."""
    found = queries.membership(unit, chat_id, user_id)
    if found is None:
        raise NotFound("There is no such chat, or you are not in it.")
    return found


def present_members(unit: UnitOfWork, chat_id: int, user_ids: list[int]) -> tuple[int, int, set[int]] | None:
    """The chat's members_revision and last seq, and which of the people are in it; None where it is gone."""
    return queries.present_members(unit, chat_id, user_ids)

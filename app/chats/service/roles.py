"""Roles: the owner hands over, names and dismisses admins; admins name further ones."""

from __future__ import annotations

from app.chats import events
from app.chats.locking import lock_chat, next_revision, post_notice
from app.chats.queries import members as queries
from app.chats.schemas import Member, Role
from app.chats.service.members import refuse_direct
from app.chats.service.telling import tell
from app.errors import Forbidden, NotFound, OwnerMustHandOver
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.users.service import load_users


def change_role(unit: UnitOfWork, caller_id: int, chat_id: int, user_id: int, role: Role) -> Member:
    """Gives a member a role; with `owner` the caller hands the chat over and becomes an admin.

    Raises NotFound (also for who is not in the chat), Forbidden, Conflict (direct chats) or OwnerMustHandOver.
    """
    # Presence is asked for before the chat is locked, so that no send waits for Redis.
    people = load_users(unit, caller_id, [user_id])
    chat = lock_chat(unit, chat_id, caller_id)
    refuse_direct(chat.type)
    if chat.role == "member":
        raise Forbidden("Only the owner and admins give roles.")
    found = queries.member(unit, chat_id, caller_id, user_id)
    if found is None:
        raise NotFound("This person is not in the chat.")
    if found.role != role:
        _refuse(chat.role, user_id == caller_id, found.role, role)
        roles: dict[int, str] = {user_id: role}
        if role == "owner":
            roles[caller_id] = "admin"
        revision = next_revision(unit, chat)
        queries.set_roles(unit, chat_id, roles, revision)
        events.members_updated(unit, chat_id, chat.type, chat.members_revision, roles)
        if role == "owner" and chat.type == "group":
            post_notice(unit, chat, caller_id, "owner_changed", user_id=user_id)
        tell(unit, chat_id, roles)
    return {"user": people[user_id], "role": role, "joined_at": rfc3339(found.joined_at)}


def _refuse(own_role: str, is_oneself: bool, before: str, after: str) -> None:
    """Raises Forbidden or OwnerMustHandOver where the caller may not change a role from `before` to `after`."""
    if own_role == "owner":
        if is_oneself:
            raise OwnerMustHandOver
    elif not (before == "member" and after == "admin") and not (is_oneself and after == "member"):
        raise Forbidden("Admins make members admins, and may step back themselves; the rest is for the owner.")

"""Changing a chat: its row is locked first, so that what is changed and told keeps the order of commits.

Whoever changes a chat, who is in it, or a message of it goes through here; sends lock the same row.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app.chats import events, lock_queries, message
from app.errors import Forbidden, NotFound
from app.infra import jobs
from app.infra.db import UnitOfWork


class LockedChat(NamedTuple):
    """A chat whose row this transaction holds, and the caller's role in it."""

    id: int
    type: str
    last_seq: int
    member_count: int
    members_revision: int
    role: str


def lock_chat(unit: UnitOfWork, chat_id: int, user_id: int) -> LockedChat:
    """Locks a chat for a present member; raises NotFound for all others."""
    row = lock_queries.lock(unit, chat_id, user_id)
    role = None if row is None else lock_queries.role(unit, chat_id, user_id)
    if row is None or role is None:
        raise NotFound("There is no such chat, or you are not in it.")
    return LockedChat._make((*row, role))


def lock_chat_to_join(unit: UnitOfWork, chat_id: int, user_id: int) -> tuple[LockedChat, bool]:
    """Locks a chat for who is in it or may join, because it is public; tells whether it is the former.

    The role is the one that the caller has or will have. Raises NotFound, or Forbidden for who was removed.
    """
    row = lock_queries.lock(unit, chat_id, user_id, may_join=True)
    found = None if row is None else lock_queries.standing(unit, chat_id, user_id)
    if row is None or found is None or (found.role is None and not found.is_public):
        raise NotFound("There is no such chat, or it is not public.")
    if found.role is None and found.is_banned:
        raise Forbidden("You were removed from this chat: only its owner and admins may bring you back.")
    return LockedChat._make((*row, found.role or "member")), found.role is not None


def hold_chat(unit: UnitOfWork, chat_id: int) -> LockedChat | None:
    """Locks a chat for a job, which acts for nobody; None where there is none."""
    row = lock_queries.hold(unit, chat_id)
    return None if row is None else LockedChat._make((*row, ""))


def lock_chat_for_service(unit: UnitOfWork, chat_id: int) -> LockedChat:
    """Locks a chat that exists for what the service itself has to say there, whoever is in it."""
    chat = hold_chat(unit, chat_id)
    assert chat is not None
    return chat


def next_revision(unit: UnitOfWork, chat: LockedChat, members_changed: bool = False, after: int = 0) -> int:
    """Stamps a locked chat with a new revision, past `after`, for the rows of the change to carry too.

    `members_changed`: hubs ask who is in the chat before they hand on what comes after.
    """
    return lock_queries.stamp(unit, chat.id, members_changed, after)


def post_notice(unit: UnitOfWork, chat: LockedChat, actor_id: int, action: str, **fields: Any) -> None:
    """Posts a service message, such as `{"action": "member_left", "user_id": 5}`, in the name of who did it.

    Once committed it reaches the chat as any message does. For a locked chat, after its other changes.
    """
    row, members_revision = lock_queries.insert_notice(unit, chat.id, actor_id, {"action": action, **fields})
    posted = message.present(row)
    unit.after_commit(lambda: events.notice_posted(posted, members_revision))
    unit.after_commit(lambda: jobs.mark_for_fanout(chat.id))

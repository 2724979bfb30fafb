"""Leaving a group or channel, being removed from it, and its end."""

from __future__ import annotations

from app.chats import events
from app.chats.locking import LockedChat, lock_chat, next_revision, post_notice
from app.chats.queries import details, marks, members
from app.chats.service.members import refuse_direct
from app.chats.service.membership import membership
from app.chats.service.preferences import remove_direct_chat
from app.chats.service.telling import tell_of_members
from app.errors import Conflict, Forbidden, NotFound, OwnerMustHandOver
from app.files.service.histories import hide_up_to
from app.files.service.releasing import release
from app.infra import jobs
from app.infra.db import UnitOfWork
from app.web.input import LARGEST_ID


def remove_member(unit: UnitOfWork, caller_id: int, chat_id: int, user_id: int) -> None:
    """Takes somebody out, as the owner or, for members, as an admin; only these may bring the person back.

    Raises NotFound (also for who is not in the chat), Forbidden or Conflict (direct chats, oneself).
    """
    chat = lock_chat(unit, chat_id, caller_id)
    refuse_direct(chat.type)
    if user_id == caller_id:
        raise Conflict("To go yourself, leave the chat.")
    if chat.role == "member":
        raise Forbidden("Only the owner and admins remove people.")
    found = members.member(unit, chat_id, caller_id, user_id)
    if found is None:
        raise NotFound("This person is not in the chat.")
    if chat.role == "admin" and found.role != "member":
        raise Forbidden("Only the owner removes admins.")
    _let_go(unit, chat, caller_id, user_id, "member_removed", is_banned=True)


def leave(unit: UnitOfWork, user_id: int, chat_id: int) -> None:
    """Takes the caller out; with the owner, who leaves only as the last one, the chat ends.

    Raises NotFound, Conflict (direct chats) or OwnerMustHandOver.
    """
    chat = lock_chat(unit, chat_id, user_id)
    refuse_direct(chat.type)
    if chat.role != "owner":
        _let_go(unit, chat, user_id, user_id, "member_left", is_banned=False)
    elif chat.member_count == 1:
        _end(unit, chat)
    else:
        raise OwnerMustHandOver


def delete_chat(unit: UnitOfWork, user_id: int, chat_id: int, for_everyone: bool) -> None:
    """Ends a group or channel for all, as its owner; takes a direct chat out of one's own list, or out of both.

    Raises NotFound or Forbidden.
    """
    if membership(unit, chat_id, user_id).chat_type == "direct":
        remove_direct_chat(unit, user_id, chat_id, for_everyone)
        return
    chat = lock_chat(unit, chat_id, user_id)
    if chat.role != "owner":
        raise Forbidden("Only the owner deletes the chat; you may leave it.")
    _end(unit, chat)


def _let_go(unit: UnitOfWork, chat: LockedChat, actor_id: int, user_id: int, action: str, is_banned: bool) -> None:
    # Past all that the person has seen of the chat: clients know by it which of two events is the later one.
    seen = members.hold_state(unit, chat.id, user_id)
    revision = next_revision(unit, chat, members_changed=True, after=seen)
    if marks.queue_departure(unit, chat.id, user_id):
        unit.after_commit(lambda: jobs.mark_for_receipts(chat.id))
    members.remove(unit, chat.id, user_id, revision, is_banned)
    events.chat_left(unit, chat.id, [user_id], revision)
    events.members_updated(unit, chat.id, chat.type, revision, {user_id: None})
    if chat.type == "group":
        post_notice(unit, chat, actor_id, action, user_id=user_id)
        jobs.enqueue(unit, jobs.END_BARRED, user_ids=[user_id])
    tell_of_members(unit, chat.id, chat.member_count - 1)


def _end(unit: UnitOfWork, chat: LockedChat) -> None:
    revision = next_revision(unit, chat, members_changed=True)
    avatar = details.details(unit, chat.id).avatar_file_id
    # What members set for themselves meanwhile may have a later revision; but nobody comes back, so this is past it.
    events.chat_left(unit, chat.id, details.end(unit, chat.id, revision), LARGEST_ID)
    hide_up_to(unit, chat.id, chat.last_seq)
    if avatar is not None:
        release(unit, [avatar])

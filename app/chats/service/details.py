"""What a group or channel is called, and its picture."""

from __future__ import annotations

from app.auth.service import hold_username, use_avatar
from app.chats.locking import lock_chat, next_revision, post_notice
from app.chats.queries import details as queries
from app.chats.schemas import Chat, ChatChange
from app.chats.service.members import refuse_direct
from app.chats.service.telling import tell_all
from app.chats.service.views import get_chat
from app.errors import Forbidden, UsernameTaken
from app.infra import jobs
from app.infra.db import UnitOfWork


def change_chat(unit: UnitOfWork, user_id: int, chat_id: int, change: ChatChange) -> Chat:
    """Changes the given fields, as the owner or an admin; the username, which makes the chat public, as the owner.

    Raises NotFound, Forbidden, Conflict (direct chats), UsernameTaken, or ValidationFailed for the avatar.
    """
    chat = lock_chat(unit, chat_id, user_id)
    refuse_direct(chat.type)
    if chat.role == "member":
        raise Forbidden("Only the owner and admins change the chat.")
    given = change.model_dump(exclude_unset=True)
    if given.get("description") == "":
        given["description"] = None
    before = queries.details(unit, chat_id)._asdict()
    changes = {name: value for name, value in given.items() if value != before[name]}
    if "username" in changes:
        _check_username(unit, chat.role, changes["username"])
    if "avatar_file_id" in changes:
        use_avatar(unit, user_id, before["avatar_file_id"], changes["avatar_file_id"])
    if changes:
        next_revision(unit, chat)
        unit.after_commit(lambda: jobs.mark_for_search(chat_id))
        if not queries.change(unit, chat_id, changes):
            raise UsernameTaken
        if "name" in changes:
            post_notice(unit, chat, user_id, "name_changed", name=changes["name"])
        if "avatar_file_id" in changes:
            post_notice(unit, chat, user_id, "avatar_changed")
        tell_all(unit, chat_id, chat.member_count)
    return get_chat(unit, user_id, chat_id)


def _check_username(unit: UnitOfWork, role: str, username: str | None) -> None:
    if role != "owner":
        raise Forbidden("Only the owner makes the chat public or private.")
    if username is not None:
        hold_username(unit, username)
        if queries.is_a_persons(unit, username):
            raise UsernameTaken

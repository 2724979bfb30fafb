"""Editing and deleting messages: under the lock of the chat, so that changes keep the order of commits.

Deleting for oneself changes only what is one's own, and locks that.
"""

from __future__ import annotations

from app.chats.locking import LockedChat, lock_chat, next_revision
from app.chats.message import Message, present
from app.errors import EditWindowOver, Forbidden, NotFound
from app.files.service.releasing import hide_message
from app.infra import jobs
from app.infra.db import UnitOfWork
from app.messages import events, queries, removals
from app.messages.service.reading import find_visible
from config import settings


def edit_message(unit: UnitOfWork, user_id: int, message_id: int, text: str) -> Message:
    """Replaces the text of one's own message and tells the chat; the same text changes nothing.

    Who may not send to the chat any more may not edit there either. Raises NotFound, Forbidden or EditWindowOver.
    """
    chat_id = find_visible(unit, user_id, message_id)[0]["chat_id"]
    chat = lock_chat(unit, chat_id, user_id)
    # What was found before the lock may have been deleted, and its author blocked, while others had it.
    message, found = find_visible(unit, user_id, message_id)
    _refuse_edit(user_id, message, found)
    if chat.type == "channel" and chat.role == "member":
        raise Forbidden("Only the owner and admins post in a channel.")
    if message["text"] == text:
        return message
    edited = present(queries.edit(unit, message_id, text, next_revision(unit, chat)))
    hidden_from = queries.hidden_from(unit, chat_id, edited["seq"])
    events.message_updated(unit, chat.members_revision, edited, hidden_from)
    unit.after_commit(lambda: jobs.mark_for_search(chat_id))
    return edited


def _refuse_edit(user_id: int, message: Message, found: queries.Found) -> None:
    """Raises Forbidden or EditWindowOver where the person may not edit the message."""
    if message["message_type"] == "service":
        raise Forbidden("What the service says cannot be edited.")
    if message["sender_id"] != user_id:
        raise Forbidden("Only its sender edits a message.")
    if message["forwarded_from_user_id"] is not None:
        raise Forbidden("A forwarded message keeps the words of its author.")
    if found.age_seconds > settings().message_edit_window:
        raise EditWindowOver
    if found.is_blocked:
        raise Forbidden("This person does not take messages from you.")


def delete_message(unit: UnitOfWork, user_id: int, message_id: int, for_everyone: bool) -> None:
    """Deletes a message for oneself or for everyone; one that is deleted already stays so.

    Raises NotFound for messages that are not in a chat of the person, or Forbidden.
    """
    found = queries.find(unit, user_id, message_id)
    if found is None:
        raise NotFound("There is no such message in a chat of yours.")
    message = present(found.row)
    if for_everyone:
        _delete_for_everyone(unit, user_id, message)
    elif not (found.is_hidden or message["deleted"]):
        _delete_for_one(unit, user_id, message)


def _delete_for_everyone(unit: UnitOfWork, user_id: int, message: Message) -> None:
    chat = lock_chat(unit, message["chat_id"], user_id)
    _refuse_deletion(chat, user_id, message)
    if message["deleted"]:
        return
    revision = next_revision(unit, chat)
    # False where somebody else has just done it.
    if queries.delete_for_everyone(unit, message["id"], revision):
        events.message_deleted(unit, chat.members_revision, chat.id, message["id"], message["seq"], revision)
        if message["message_type"] not in ("service", "text"):
            hide_message(unit, chat.id, message["seq"])
        unit.after_commit(lambda: jobs.mark_for_search(chat.id))
        if message["message_type"] != "service":
            removals.remove(unit, chat.id, chat.member_count, message["seq"])


def _refuse_deletion(chat: LockedChat, user_id: int, message: Message) -> None:
    """Raises Forbidden where the person may not delete the message for everyone."""
    if message["message_type"] == "service":
        # It says what its sender did, and is nobody's own.
        is_allowed = chat.role != "member"
    else:
        is_allowed = chat.type == "direct" or message["sender_id"] == user_id or chat.role != "member"
    if not is_allowed:
        raise Forbidden("Only its sender, the owner and admins delete a message for everyone.")


def _delete_for_one(unit: UnitOfWork, user_id: int, message: Message) -> None:
    """Touches nothing that others see: only the person's own state has a new revision."""
    chat_id = message["chat_id"]
    hidden = queries.delete_for_one(unit, user_id, chat_id, message["id"])
    if hidden is not None:
        events.message_deleted_for_one(unit, user_id, chat_id, message["id"], hidden.revision)
        if hidden.was_unread:
            removals.tell_one(unit, user_id, chat_id)

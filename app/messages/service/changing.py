"""Editing and deleting messages: under the lock of the chat, so that changes keep the order of commits."""

from __future__ import annotations

from app.chats.locking import lock_chat, next_revision
from app.chats.message import Message, present
from app.errors import EditWindowOver, Forbidden, NotFound
from app.infra.db import UnitOfWork
from app.messages import events, queries, unread
from app.messages.service.reading import find_visible
from config import settings


def edit_message(unit: UnitOfWork, user_id: int, message_id: int, text: str) -> Message:
    """Replaces the text of one's own message and tells the chat; the same text changes nothing.

    Who may not send to the chat any more may not edit there either. Raises NotFound, Forbidden or EditWindowOver.
    """
    message, found = find_visible(unit, user_id, message_id)
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
    if message["text"] == text:
        return message
    chat = lock_chat(unit, message["chat_id"], user_id)
    if chat.type == "channel" and chat.role == "member":
        raise Forbidden("Only the owner and admins post in a channel.")
    row = queries.edit(unit, message_id, text, next_revision(unit, chat))
    if row is None:
        raise NotFound("There is no such message in a chat of yours.")
    edited = present(row)
    events.message_updated(unit, chat.members_revision, edited)
    return edited


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
    if chat.type != "direct" and message["sender_id"] != user_id and chat.role == "member":
        raise Forbidden("Only its sender, the owner and admins delete a message for everyone.")
    if message["deleted"]:
        return
    revision = next_revision(unit, chat)
    # False where somebody else has just done it.
    if queries.delete_for_everyone(unit, message["id"], revision):
        events.message_deleted(unit, chat.members_revision, chat.id, message["id"], message["seq"], revision)
        if message["message_type"] != "service":
            unread.count_down(unit, chat.id, [message["seq"]])


def _delete_for_one(unit: UnitOfWork, user_id: int, message: Message) -> None:
    """Stamps the chat as well, though nothing changes for others: its revision is past that of all its messages."""
    chat = lock_chat(unit, message["chat_id"], user_id)
    revision = next_revision(unit, chat)
    if queries.delete_for_one(unit, message["id"], user_id, revision):
        events.message_deleted_for_one(unit, user_id, chat.id, message["id"], revision)

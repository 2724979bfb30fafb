"""The HTTP door of chats."""

from __future__ import annotations

from flask import Blueprint

from app.chats import service
from app.chats.schemas import Chat, ChatChange, ChatQuery, Extent, MarkRead, Mute, NewChat, Pin, ReadState
from app.errors import Conflict, Forbidden, NotFound, UsernameTaken
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from app.web.endpoint import Answer, operation
from app.web.pagination import ItemPage

blueprint = Blueprint("chats", __name__, url_prefix="/chats")


@blueprint.get("")
@operation(answers=ItemPage[Chat])
def list_chats(query: ChatQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[Chat]:
    """List your chats.

    Pinned ones first, then by last activity, newest first.
    """
    return service.list_chats(unit, caller.user_id, query)


@blueprint.post("")
@operation(answers=Chat, status=201, also=(200,), raises=(Conflict, Forbidden, NotFound))
def create_chat(body: NewChat, caller: Caller, unit: UnitOfWork) -> Answer:
    """Create a group or channel, or open a direct chat.

    A direct chat with `user_id` is made once: later calls answer 200 with the same chat. With your own id it is
    Saved Messages.
    """
    chat, is_new = service.create_chat(unit, caller.user_id, body)
    return Answer(chat, 201 if is_new else 200)


@blueprint.get("/<int:chat_id>")
@operation(answers=Chat, raises=(NotFound,))
def get_chat(chat_id: int, caller: Caller, unit: UnitOfWork) -> Chat:
    """Get one of your chats."""
    return service.get_chat(unit, caller.user_id, chat_id)


@blueprint.put("/<int:chat_id>")
@operation(answers=Chat, raises=(Conflict, Forbidden, NotFound, UsernameTaken))
def change_chat(chat_id: int, body: ChatChange, caller: Caller, unit: UnitOfWork) -> Chat:
    """Change a group or channel: absent fields stay as they are, null clears one.

    For the owner and admins; the username for the owner: with one, everybody may join.
    """
    return service.change_chat(unit, caller.user_id, chat_id, body)


@blueprint.delete("/<int:chat_id>")
@operation(raises=(Forbidden, NotFound))
def delete_chat(chat_id: int, query: Extent, caller: Caller, unit: UnitOfWork) -> None:
    """Delete a chat.

    A group or channel for all, by its owner. A direct chat is cleared and out of your list until its next message;
    with `for_everyone`, for both.
    """
    service.delete_chat(unit, caller.user_id, chat_id, query.for_everyone)


@blueprint.delete("/<int:chat_id>/history")
@operation(raises=(Forbidden, NotFound))
def clear_history(chat_id: int, query: Extent, caller: Caller, unit: UnitOfWork) -> None:
    """Clear the history for yourself; `for_everyone`, in a direct chat, for both.

    What was cleared is gone for good and counts as read.
    """
    service.clear_history(unit, caller.user_id, chat_id, query.for_everyone)


@blueprint.post("/<int:chat_id>/pin")
@operation(answers=Chat, raises=(Conflict, NotFound))
def pin_chat(chat_id: int, body: Pin, caller: Caller, unit: UnitOfWork) -> Chat:
    """Put a chat at the top of your list, or take it from there."""
    return service.pin_chat(unit, caller.user_id, chat_id, body.pinned)


@blueprint.post("/<int:chat_id>/mute")
@operation(answers=Chat, raises=(NotFound,))
def mute_chat(chat_id: int, body: Mute, caller: Caller, unit: UnitOfWork) -> Chat:
    """Mute a chat, until a moment or for good, or end that."""
    return service.mute_chat(unit, caller.user_id, chat_id, body.muted, body.until)


@blueprint.post("/<int:chat_id>/read")
@operation(answers=ReadState, raises=(NotFound,))
def mark_read(chat_id: int, body: MarkRead, caller: Caller, unit: UnitOfWork) -> ReadState:
    """Mark messages as read.

    Everything up to `message_id`, or all without it. The mark never moves back.
    """
    return service.mark_read(unit, caller.user_id, chat_id, body.message_id)

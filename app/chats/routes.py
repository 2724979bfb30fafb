"""The HTTP door of chats."""

from __future__ import annotations

from flask import Blueprint

from app.chats import service
from app.chats.schemas import Chat, ChatQuery, MarkRead, NewChat, ReadState
from app.errors import Forbidden, NotFound
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
@operation(answers=Chat, status=201, also=(200,), raises=(Forbidden, NotFound))
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


@blueprint.post("/<int:chat_id>/read")
@operation(answers=ReadState, raises=(NotFound,))
def mark_read(chat_id: int, body: MarkRead, caller: Caller, unit: UnitOfWork) -> ReadState:
    """Mark messages as read.

    Everything up to `message_id`, or all without it. The mark never moves back.
    """
    return service.mark_read(unit, caller.user_id, chat_id, body.message_id)

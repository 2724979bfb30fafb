"""The HTTP door of messages."""

from __future__ import annotations

from flask import Blueprint

from app.chats.message import Message
from app.errors import ClientIdReused, EditWindowOver, Forbidden, NotFound
from app.infra.db import UnitOfWork
from app.messages import service
from app.messages.schemas import (
    DeleteQuery,
    EditMessage,
    Forwarded,
    ForwardMessage,
    HistoryPage,
    HistoryQuery,
    NewMessage,
)
from app.web.authentication import Caller
from app.web.endpoint import Answer, operation
from app.web.limits import limit_action

blueprint = Blueprint("messages", __name__)


@blueprint.post("/messages")
@operation(
    answers=Message,
    status=201,
    also=(200,),
    raises=(Forbidden, NotFound, ClientIdReused),
    authentication="token",
    action="messages",
)
def send_message(body: NewMessage, caller: Caller) -> Answer:
    """Send a message.

    Answers once it is stored durably. The same `client_id` with the same body answers 200 and the same message: its
    tombstone where it was deleted since, for all or for you, and 404 where it is not kept any longer. It is never sent
    a second time.
    """
    sent = service.send_message(caller, body)
    return Answer(sent.json, 201 if sent.is_new else 200)


@blueprint.get("/messages/<int:message_id>")
@operation(answers=Message, raises=(NotFound,))
def get_message(message_id: int, caller: Caller, unit: UnitOfWork) -> Message:
    """Get one message of your chats.

    Not those that are deleted, for everyone or for you.
    """
    return service.get_message(unit, caller.user_id, message_id)


@blueprint.put("/messages/<int:message_id>")
@operation(answers=Message, raises=(EditWindowOver, Forbidden, NotFound), action="messages")
def edit_message(message_id: int, body: EditMessage, caller: Caller, unit: UnitOfWork) -> Message:
    """Edit a message of yours.

    For 48 hours (`MESSAGE_EDIT_WINDOW`), and while you may send to the chat; not what you forwarded.
    """
    return service.edit_message(unit, caller.user_id, message_id, body.text)


@blueprint.delete("/messages/<int:message_id>")
@operation(raises=(Forbidden, NotFound))
def delete_message(message_id: int, query: DeleteQuery, caller: Caller, unit: UnitOfWork) -> None:
    """Delete a message.

    For you alone, or with `for=everyone` for all: your own, in groups and channels as owner or admin any, and in a
    direct chat the other side's too. Service messages are nobody's own.
    """
    service.delete_message(unit, caller.user_id, message_id, query.scope == "everyone")


@blueprint.post("/messages/<int:message_id>/forward")
@operation(answers=Forwarded, status=201, also=(200,), raises=(Forbidden, NotFound, ClientIdReused))
def forward_message(message_id: int, body: ForwardMessage, caller: Caller) -> Answer:
    """Forward a message to other chats.

    To all of them or to none, with its first author as `forwarded_from_user_id`; for the limit on sending each chat is
    a message. The same `client_id` with the same message answers 200 and the same new messages; each of these has a
    `client_id` made from it and from the chat.
    """
    limit_action(caller.user_id, "messages", uses=len(body.chat_ids))
    sent = service.forward_message(caller, message_id, body)
    is_new = any(message.is_new for message in sent)
    return Answer(b'{"items":[' + b",".join(message.json for message in sent) + b"]}", 201 if is_new else 200)


@blueprint.get("/chats/<int:chat_id>/messages")
@operation(answers=HistoryPage, raises=(NotFound,))
def history(chat_id: int, query: HistoryQuery, caller: Caller, unit: UnitOfWork) -> bytes:
    """Read a chat's messages, newest first.

    By message id: `before`, `after` or `around` one; without any of them the newest.
    """
    return service.history(unit, caller.user_id, chat_id, query)

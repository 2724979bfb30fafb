"""The HTTP door of messages."""

from __future__ import annotations

from flask import Blueprint

from app.chats.message import Message
from app.errors import ClientIdReused, Forbidden, NotFound
from app.infra.db import UnitOfWork
from app.messages import service
from app.messages.schemas import HistoryPage, HistoryQuery, NewMessage
from app.web.authentication import Caller
from app.web.endpoint import Answer, operation

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

    Answers once it is stored durably. The same `client_id` with the same body answers 200 and the same message.
    """
    sent = service.send_message(caller, body)
    return Answer(sent.json, 201 if sent.is_new else 200)


@blueprint.get("/chats/<int:chat_id>/messages")
@operation(answers=HistoryPage, raises=(NotFound,))
def history(chat_id: int, query: HistoryQuery, caller: Caller, unit: UnitOfWork) -> HistoryPage:
    """Read a chat's messages, newest first.

    By message id: `before`, `after` or `around` one; without any of them the newest.
    """
    return service.history(unit, caller.user_id, chat_id, query)

"""Forwarding: the same words in other chats, with the name of their first author."""

from __future__ import annotations

import hashlib
from uuid import uuid5

import orjson

from app.chats.message import Message
from app.errors import Forbidden
from app.infra.db import reading
from app.messages.queries import Send
from app.messages.schemas import ForwardMessage
from app.messages.service.reading import find_visible
from app.messages.service.sending import SentMessage, send_together
from app.web.authentication import Caller


def forward_message(caller: Caller, message_id: int, forward: ForwardMessage) -> list[SentMessage]:
    """Sends a message that the caller sees to other chats, to all of them or to none; in the order of `chat_ids`.

    With `client_id` each chat has its own, made from it, so that repeating is as safe as for a send. Raises NotFound,
    Forbidden, ClientIdReused, SessionRevoked or Unavailable; then nothing was stored.
    """
    with reading() as unit:
        message, _ = find_visible(unit, caller.user_id, message_id)
    if message["message_type"] == "service":
        raise Forbidden("What the service says cannot be forwarded.")
    return send_together([_send(caller, message, chat_id, forward) for chat_id in forward.chat_ids])


def _send(caller: Caller, message: Message, chat_id: int, forward: ForwardMessage) -> Send:
    client_id = None if forward.client_id is None else str(uuid5(forward.client_id, str(chat_id)))
    # Not of the words: the message may be edited before the caller repeats the request.
    body = orjson.dumps(["forward", message["id"], chat_id])
    return Send(
        chat_id=chat_id,
        sender_id=caller.user_id,
        session_id=caller.session_id,
        client_id=client_id,
        body_hash=hashlib.blake2b(body, digest_size=16).digest(),
        message_type=message["message_type"],
        text=message["text"],
        reply_to_id=None,
        forwarded_from_user_id=message["forwarded_from_user_id"] or message["sender_id"],
    )

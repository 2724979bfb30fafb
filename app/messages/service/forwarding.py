"""Forwarding: the same words and the same file in other chats, with the name of their first author."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid5

import orjson

from app.chats.message import Message
from app.errors import ClientIdReused, Forbidden, NotFound
from app.infra.db import reading
from app.messages import queries
from app.messages.queries import Send
from app.messages.schemas import ForwardMessage
from app.messages.service.reading import find_visible
from app.messages.service.sending import SentMessage, earlier, send_together
from app.web.authentication import Caller


def forward_message(caller: Caller, message_id: int, forward: ForwardMessage) -> list[SentMessage]:
    """Sends a message that the caller sees to other chats, to all of them or to none; in the order of `chat_ids`.

    With `client_id` each chat has its own, made from it, so that repeating is as safe as for a send, also where the
    message is gone since. Raises NotFound, Forbidden, ClientIdReused, SessionRevoked or Unavailable; then nothing was
    stored.
    """
    try:
        with reading() as unit:
            message, _ = find_visible(unit, caller.user_id, message_id)
    except NotFound:
        stored = _stored(caller.user_id, message_id, forward)
        if stored is None:
            raise
        return stored
    if message["message_type"] == "service":
        raise Forbidden("What the service says cannot be forwarded.")
    if message["text"] is None and message["file"] is None:
        raise Forbidden("The file of this message is deleted: there is nothing to forward.")
    return send_together([_send(caller, message, chat_id, forward) for chat_id in forward.chat_ids])


def _stored(user_id: int, message_id: int, forward: ForwardMessage) -> list[SentMessage] | None:
    """What the same request stored before the message was gone; None where it did not store all that is asked for.

    Raises ClientIdReused, or NotFound where what was stored is gone as well.
    """
    if forward.client_id is None:
        return None
    client_ids = {chat_id: _client_id(forward.client_id, chat_id) for chat_id in forward.chat_ids}
    with reading() as unit:
        found = queries.remembered(unit, user_id, list(client_ids.values()))
    stored = {chat_id: found[client_id] for chat_id, client_id in client_ids.items() if client_id in found}
    if any(one.body_hash != _body_hash(message_id, chat_id) for chat_id, one in stored.items()):
        raise ClientIdReused
    if len(stored) < len(client_ids):
        return None
    return [earlier(user_id, one.message_id) for one in stored.values()]


def _client_id(client_id: UUID, chat_id: int) -> str:
    return str(uuid5(client_id, str(chat_id)))


def _body_hash(message_id: int, chat_id: int) -> bytes:
    """Not of the words: the message may be edited before the caller repeats the request."""
    return hashlib.blake2b(orjson.dumps(["forward", message_id, chat_id]), digest_size=16).digest()


def _send(caller: Caller, message: Message, chat_id: int, forward: ForwardMessage) -> Send:
    return Send(
        chat_id=chat_id,
        sender_id=caller.user_id,
        session_id=caller.session_id,
        client_id=None if forward.client_id is None else _client_id(forward.client_id, chat_id),
        body_hash=_body_hash(message["id"], chat_id),
        # That of a file is known to the statement; where the file is gone, the words are left.
        message_type="text",
        text=message["text"],
        reply_to_id=None,
        forwarded_from_user_id=message["forwarded_from_user_id"] or message["sender_id"],
        file_id=None if message["file"] is None else message["file"]["id"],
    )

"""Publishing events: finished frame bytes with a small header for the hubs; only the domains' `events.py` use it.

A payload is one line of JSON (the header) and then the JSON of the event exactly as clients receive it, so that a hub
reads a few bytes and copies the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired

import orjson
from typing_extensions import TypedDict

from app.infra.db import UnitOfWork
from app.infra.redis_writer import RESYNC_CHANNEL, writer


class Header(TypedDict):
    """What a hub must know before it hands a frame on; every field may be absent."""

    members_revision: NotRequired[int]
    """The chat's members_revision when the event was made: a hub that knows an older one reloads who may receive. With
    `chat_left` that of the going."""
    seq: NotRequired[int]
    """The message's seq: hubs deliver a chat's messages in this order and fetch what is missing. With `chat_joined`
    the last seq that the event's chat shows: what came since is delivered to who joined."""
    after_seq: NotRequired[int]
    """The seq of the message that a change is about: hubs deliver the change after it."""
    except_connection: NotRequired[str | None]
    """The socket that caused the event and has its answer already."""
    except_users: NotRequired[list[int]]
    """Members whom the event is not for: they have deleted the message for themselves."""
    only_session: NotRequired[str]
    """The one device of a user that the event is for."""
    except_session: NotRequired[str]
    """The one device of a user that the event is not for."""
    control: NotRequired[str]
    """An order to the hub itself (`session_revoked`, `chat_joined`, `chat_left`, and `call_signals`: a device of a call
    is to be told what the other one said) instead of an event; with `unread` the
    frame is a JSON list of [user_id, unread_count, revision], of which each of these people gets their own event."""
    subject: NotRequired[str | int]
    """What the order is about: a session, a chat."""


def encode(event: str, data: Mapping[str, Any]) -> bytes:
    """The JSON of an event frame: `{"event": ..., "data": ...}`."""
    return orjson.dumps({"event": event, "data": data})


def payload(header: Header, frame: bytes = b"") -> bytes:
    """Joins header and frame to what travels through Redis."""
    return orjson.dumps(header) + b"\n" + frame


def parse(raw: bytes) -> tuple[Header, bytes]:
    """Splits what came through Redis; raises ValueError where it is not ours."""
    head, separator, frame = raw.partition(b"\n")
    if not separator:
        raise ValueError("no header")
    header: Header = orjson.loads(head)
    return header, frame


def send(channel: str, content: bytes) -> None:
    """Publishes now; never waits and never fails."""
    writer().submit("PUBLISH", channel, content)


def publish(unit: UnitOfWork, channel: str, header: Header, frame: bytes = b"") -> None:
    """Publishes once the unit of work has committed."""
    content = payload(header, frame)
    unit.after_commit(lambda: send(channel, content))


def publish_each(unit: UnitOfWork, contents: Iterable[tuple[str, bytes]]) -> None:
    """Publishes many finished payloads, in order, once the unit of work has committed."""
    waiting = list(contents)

    def send_all() -> None:
        for channel, content in waiting:
            send(channel, content)

    unit.after_commit(send_all)


def chat_messages(chat_id: int) -> str:
    """The channel of what happens in a chat."""
    return f"chat:{chat_id}:messages"


def chat_typing(chat_id: int) -> str:
    """The channel of who types in a chat."""
    return f"chat:{chat_id}:typing"


def user_notifications(user_id: int) -> str:
    """The channel of what concerns one user on all devices."""
    return f"user:{user_id}:notifications"


def user_status(user_id: int) -> str:
    """The channel of other people's presence that this user may see."""
    return f"user:{user_id}:status"


def tell_to_sync() -> None:
    """Has all clients sync, as soon as Redis is there: for what concerns many when it is not known which of them."""
    writer().submit("PUBLISH", RESYNC_CHANNEL, b"receivers unknown")

"""How a message looks to clients, from a row; here because a chat shows its last one."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from app.infra.times import Timestamp, rfc3339

MessageType = Literal["text", "image", "video", "audio", "file", "service"]

_COLUMNS = (
    "id",
    "chat_id",
    "seq",
    "sender_id",
    "client_id",
    "message_type",
    "text",
    "reply_to_id",
    "forwarded_from_user_id",
    "status",
    "created_at",
    "edited_at",
    "deleted_at",
    "revision",
    "service",
)
COLUMN_COUNT = len(_COLUMNS)


def columns(table: str) -> str:
    """The columns of a message for a SELECT from `table`, in the order that `present` reads."""
    return ", ".join(f"{table}.{name}" for name in _COLUMNS)


class Message(TypedDict):
    """A message. `id` grows with time everywhere; `seq` counts 1, 2, 3... inside one chat with no gap.

    `service` is set where `message_type` is `service`: what happened, as `action` and its fields.
    """

    id: int
    chat_id: int
    seq: int
    sender_id: int | None
    client_id: str | None
    message_type: MessageType
    text: str | None
    file: None
    reply_to_id: int | None
    forwarded_from_user_id: int | None
    status: Literal["sent", "delivered", "read"]
    created_at: Timestamp
    edited_at: Timestamp | None
    deleted: bool
    revision: int
    service: dict[str, Any] | None


def present(row: tuple[Any, ...]) -> Message:
    """The message of a row read by `columns`."""
    return {
        "id": row[0],
        "chat_id": row[1],
        "seq": row[2],
        "sender_id": row[3],
        "client_id": None if row[4] is None else str(row[4]),
        "message_type": row[5],
        "text": row[6],
        "file": None,
        "reply_to_id": row[7],
        "forwarded_from_user_id": row[8],
        "status": row[9],
        "created_at": rfc3339(row[10]),
        "edited_at": rfc3339(row[11]),
        "deleted": row[12] is not None,
        "revision": row[13],
        "service": row[14],
    }

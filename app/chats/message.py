"""How a message looks to clients, from a row; here because a chat shows its last one."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from app.files.file import File, json_column, present_json
from app.infra.times import Timestamp, from_text

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
COLUMN_COUNT = len(_COLUMNS) + 1
# Shown as PostgreSQL writes them, or nearly so: objects of Python cost more to make than all else of a row.
_TEXTS = ("client_id", "created_at", "edited_at")
# Ids count milliseconds from 2025-01-01T00:00Z, as message_id_at of the database does.
_EPOCH_MS = 1_735_689_600_000


def columns(table: str) -> str:
    """The columns of a message for a SELECT from `table`, in the order that `present` reads; its file is the last."""
    own = (f"{table}.{name}::text" if name in _TEXTS else f"{table}.{name}" for name in _COLUMNS)
    return f"{', '.join(own)}, {file_column(table)}"


def file_column(table: str) -> str:
    """The file of a message, looked up by its key and only where there is one."""
    return f"CASE WHEN {table}.file_id IS NOT NULL THEN {json_column(f'{table}.file_id')} END AS file"


def least_id_at(seconds: float) -> int:
    """The least id that a message of this moment (Unix time) can have, by the clock of who asks; 0 before 2025."""
    return max(0, int(seconds * 1000) - _EPOCH_MS) << 12


class Message(TypedDict):
    """A message. `id` grows with time everywhere; `seq` counts 1, 2, 3... inside one chat with no gap.

    `file` is null where there is none, and where its owner has deleted it. `service` is set where `message_type` is
    `service`: what happened, as `action` and its fields.
    """

    id: int
    chat_id: int
    seq: int
    sender_id: int | None
    client_id: str | None
    message_type: MessageType
    text: str | None
    file: File | None
    reply_to_id: int | None
    forwarded_from_user_id: int | None
    status: Literal["sent", "delivered", "read"]
    created_at: Timestamp
    edited_at: Timestamp | None
    deleted: bool
    revision: int
    service: dict[str, Any] | None


def present(row: tuple[Any, ...]) -> Message:
    """The message of a row read by `columns`; links to its file are yet to be signed for who receives it."""
    return {
        "id": row[0],
        "chat_id": row[1],
        "seq": row[2],
        "sender_id": row[3],
        "client_id": row[4],
        "message_type": row[5],
        "text": row[6],
        "file": None if row[15] is None else present_json(row[15]),
        "reply_to_id": row[7],
        "forwarded_from_user_id": row[8],
        "status": row[9],
        "created_at": from_text(row[10]),
        "edited_at": None if row[11] is None else from_text(row[11]),
        "deleted": row[12] is not None,
        "revision": row[13],
        "service": row[14],
    }


def tombstone(message: Message) -> Message:
    """What is left of a message for who has deleted it for oneself, as is left for all of one deleted for everyone."""
    return {
        **message,
        "deleted": True,
        "text": None,
        "file": None,
        "reply_to_id": None,
        "forwarded_from_user_id": None,
        "service": None,
    }

"""Who is told what about messages; the only publisher of the domain."""

from __future__ import annotations

from app.infra import bus


def new_message_frame(message_json: bytes) -> bytes:
    """The finished frame of a new message, from the JSON that its sender is answered with."""
    return b'{"event":"new_message","data":' + message_json + b"}"


def message_sent(
    chat_id: int, seq: int, members_revision: int, message_json: bytes, except_connection: str | None
) -> None:
    """Tells a chat of a message that has been committed; never waits."""
    header: bus.Header = {"members_revision": members_revision, "seq": seq}
    if except_connection is not None:
        header["except_connection"] = except_connection
    bus.send(bus.chat_messages(chat_id), bus.payload(header, new_message_frame(message_json)))

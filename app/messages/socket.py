"""The WebSocket door of messages."""

from __future__ import annotations

from app.chats.message import Message
from app.messages import service
from app.messages.schemas import NewMessage
from app.web.socket import FrameContext, FrameSpec


def send(context: FrameContext, data: NewMessage) -> bytes:
    """Sends a message; the sender's other devices hear of it, this connection has the answer."""
    return service.send_message(context.caller, data, context.connection_id).json


FRAMES = {
    "message": FrameSpec(
        NewMessage,
        Message,
        send,
        "Send a message, as POST /api/messages does.",
        action="messages",
        waits_its_turn=False,
    ),
}

"""The WebSocket door of chats: read marks and typing."""

from __future__ import annotations

from app.chats import service, typing
from app.chats.schemas import ReadReceiptFrame, ReadState, TypingFrame
from app.infra.db import reading, unit_of_work
from app.web.authentication import require_live_session
from app.web.socket import FrameContext, FrameSpec


def read_receipt(context: FrameContext, data: ReadReceiptFrame) -> ReadState:
    """Marks messages as read; raises NotFound."""
    with unit_of_work() as unit:
        require_live_session(unit, context.caller)
        return service.mark_read(unit, context.caller.user_id, data.chat_id, data.message_id)


def typing_frame(context: FrameContext, data: TypingFrame) -> None:
    """Tells the chat that the caller types, or no more; raises NotFound, or Forbidden in channels."""
    with reading() as unit:
        require_live_session(unit, context.caller)
        typing.set_typing(unit, data.chat_id, context.caller.user_id, data.is_typing, context.connection_id)


FRAMES = {
    "read_receipt": FrameSpec(
        ReadReceiptFrame,
        ReadState,
        read_receipt,
        "Mark everything up to a message as read, as POST read does.",
        action="receipts",
    ),
    "typing": FrameSpec(
        TypingFrame, None, typing_frame, "Tell that you type, or no more; expires after 10 s.", action="typing"
    ),
}

"""The WebSocket door of receipts: a client tells what has arrived."""

from __future__ import annotations

from app.chats import service as chats
from app.infra.db import unit_of_work
from app.messages.receipt_schemas import DeliveredFrame
from app.web.authentication import require_live_session
from app.web.socket import FrameContext, FrameSpec


def delivered(context: FrameContext, data: DeliveredFrame) -> None:
    """Notes that everything up to a message has arrived; raises NotFound."""
    with unit_of_work() as unit:
        require_live_session(unit, context.caller)
        chats.mark_delivered(unit, context.caller.user_id, data.chat_id, data.message_id)


FRAMES = {
    "delivered": FrameSpec(
        DeliveredFrame,
        None,
        delivered,
        "Tell that everything up to a message has arrived; never moves back.",
        action="receipts",
    ),
}

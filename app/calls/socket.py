"""The WebSocket door of calls: what a device says to the one on the other side."""

from __future__ import annotations

from app.calls import service
from app.calls.schemas import SignalFrame
from app.web.socket import FrameContext, FrameSpec


def call_signal(context: FrameContext, data: SignalFrame) -> None:
    """Hands a signal on; raises as `send_signal` does."""
    service.send_signal(context.caller, data.call_id, data.signal)


FRAMES = {
    "call_signal": FrameSpec(
        SignalFrame,
        None,
        call_signal,
        "Say something to the other device of a call: a description (SDP), an ICE candidate.",
        action="call_signals",
    ),
}

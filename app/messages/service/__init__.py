"""The rules of messages, as verbs."""

from app.messages.service.changing import delete_message, edit_message
from app.messages.service.forwarding import forward_message
from app.messages.service.reading import frames_between, get_message, history
from app.messages.service.sending import SentMessage, send_message

__all__ = [
    "SentMessage",
    "delete_message",
    "edit_message",
    "forward_message",
    "frames_between",
    "get_message",
    "history",
    "send_message",
]

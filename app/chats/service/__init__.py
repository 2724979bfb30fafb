"""The rules of chats, as verbs: who may do what, and what follows from it."""

from app.chats.service.creation import create_chat
from app.chats.service.details import change_chat
from app.chats.service.leaving import delete_chat, leave, remove_member
from app.chats.service.marks import mark_delivered, tells_receipts
from app.chats.service.members import add_members, join, list_members
from app.chats.service.membership import membership, present_members
from app.chats.service.preferences import clear_history, mute_chat, pin_chat
from app.chats.service.reads import mark_read
from app.chats.service.roles import change_role
from app.chats.service.telling import tell_all, tell_marked
from app.chats.service.views import get_chat, list_chats, present_chats

__all__ = [
    "add_members",
    "change_chat",
    "change_role",
    "clear_history",
    "create_chat",
    "delete_chat",
    "get_chat",
    "join",
    "leave",
    "list_chats",
    "list_members",
    "mark_delivered",
    "mark_read",
    "membership",
    "mute_chat",
    "pin_chat",
    "present_chats",
    "present_members",
    "remove_member",
    "tell_all",
    "tell_marked",
    "tells_receipts",
]

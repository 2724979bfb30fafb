"""Every table, one file per domain; migrations are checked against these by a test."""

from app.models.base import Base
from app.models.chats import Chat, ChatMember, UserChatState
from app.models.jobs import SetAsideJob, SweepMark
from app.models.messages import Message, MessageDedup, MessageHide, MessageReadReceipt, QueuedReceipt, UnreadRemoval
from app.models.sessions import AttemptCount, OneTimeCode, PendingRegistration, Session
from app.models.users import AuditEntry, Block, Contact, User, UserName

metadata = Base.metadata

__all__ = [
    "AttemptCount",
    "AuditEntry",
    "Base",
    "Block",
    "Chat",
    "ChatMember",
    "Contact",
    "Message",
    "MessageDedup",
    "MessageHide",
    "MessageReadReceipt",
    "OneTimeCode",
    "PendingRegistration",
    "QueuedReceipt",
    "Session",
    "SetAsideJob",
    "SweepMark",
    "UnreadRemoval",
    "User",
    "UserChatState",
    "UserName",
    "metadata",
]

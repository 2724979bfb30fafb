"""Every table, one file per domain; migrations are checked against these by a test."""

from app.models.base import Base
from app.models.calls import Call, CallParticipant
from app.models.chats import Chat, ChatMember, UserChatState
from app.models.files import File, FileObject, MessageFile, PendingUpload, ReleasedHistory, RemovedObject, UntoldFile
from app.models.jobs import SetAsideJob, SweepMark
from app.models.messages import Message, MessageDedup, MessageHide, MessageReadReceipt, QueuedReceipt, UnreadRemoval
from app.models.search import ChatName, MessageSearch, SearchProgress
from app.models.sessions import AttemptCount, OneTimeCode, PendingRegistration, Session
from app.models.users import AuditEntry, Block, Contact, User, UserName

metadata = Base.metadata

__all__ = [
    "AttemptCount",
    "AuditEntry",
    "Base",
    "Block",
    "Call",
    "CallParticipant",
    "Chat",
    "ChatMember",
    "ChatName",
    "Contact",
    "File",
    "FileObject",
    "Message",
    "MessageDedup",
    "MessageFile",
    "MessageHide",
    "MessageReadReceipt",
    "MessageSearch",
    "OneTimeCode",
    "PendingRegistration",
    "PendingUpload",
    "QueuedReceipt",
    "ReleasedHistory",
    "RemovedObject",
    "SearchProgress",
    "Session",
    "SetAsideJob",
    "SweepMark",
    "UnreadRemoval",
    "UntoldFile",
    "User",
    "UserChatState",
    "UserName",
    "metadata",
]

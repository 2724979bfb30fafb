"""Calls, and who is in them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigId, Counter


class Call(Base):
    """A call: ringing, then active, then ended; without a callee it is that of a group.

    `deadline` is when it stops ringing. Whoever ends a call, or begins one in a group, holds the chat's row first.
    """

    __tablename__ = "calls"
    __table_args__ = (
        CheckConstraint("call_type IN ('audio', 'video')", name="call_type"),
        CheckConstraint("state IN ('ringing', 'active', 'ended')", name="state"),
        CheckConstraint(
            "end_reason IN ('hangup', 'declined', 'cancelled', 'missed', 'busy', 'disconnected')", name="end_reason"
        ),
        CheckConstraint(
            "(state = 'ended') = (end_reason IS NOT NULL) AND (state = 'ended') = (ended_at IS NOT NULL)", name="ended"
        ),
        Index("ix_calls_deadline", "deadline", postgresql_where=text("state = 'ringing'")),
        Index("ix_calls_active", "id", postgresql_where=text("state = 'active'")),
        Index("uq_calls_live_chat_id", "chat_id", unique=True, postgresql_where=text("state <> 'ended'")),
    )

    id: Mapped[BigId]
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    caller_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    callee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    call_type: Mapped[str]
    state: Mapped[str]
    end_reason: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    deadline: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    revision: Mapped[Counter]


class CallParticipant(Base):
    """A person of a call, from the first ringing until `left_at`; only one such call for a person at a time.

    `session_id` is the device that is in the call, since `joined_at`; `gone_since` is set while it has no socket.
    `exit_due` is when LiveKit is told next that the person, who has left, is not in its room.
    """

    __tablename__ = "call_participants"
    __table_args__ = (
        Index("uq_call_participants_live", "user_id", unique=True, postgresql_where=text("left_at IS NULL")),
        Index("ix_call_participants_call_id", "call_id"),
        Index("ix_call_participants_missed", "user_id", "call_id", postgresql_where=text("is_missed")),
        Index("ix_call_participants_exit_due", "exit_due", postgresql_where=text("exit_due IS NOT NULL")),
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    call_id: Mapped[int] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    session_id: Mapped[UUID | None]
    joined_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    gone_since: Mapped[datetime | None]
    exit_due: Mapped[datetime | None]
    is_missed: Mapped[bool] = mapped_column(server_default=false())

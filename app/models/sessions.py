"""Signing in: sessions, sign-ups that wait for their code, one-time codes, and counts of attempts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class Session(Base):
    """One signed-in device. Its refresh token rotates; `refresh_hash` is the SHA-256 of the one that is good now."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_live", "user_id", postgresql_where=text("revoked_at IS NULL")),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    refresh_hash: Mapped[bytes]
    device: Mapped[str]
    address: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    used_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class PendingRegistration(Base):
    """A sign-up whose number is not proven yet; becomes a user by its code, or is swept."""

    __tablename__ = "pending_registrations"

    phone: Mapped[str] = mapped_column(primary_key=True)
    username: Mapped[str | None]
    first_name: Mapped[str]
    last_name: Mapped[str | None]
    password_hash: Mapped[str]
    created_at: Mapped[CreatedAt]


class OneTimeCode(Base):
    """The latest code sent to a number for a purpose (register, reset), hashed."""

    __tablename__ = "one_time_codes"

    phone: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    code_hash: Mapped[bytes]
    sent_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class AttemptCount(Base):
    """Attempts in a window, for limits that must hold without Redis: sign-in and codes."""

    __tablename__ = "attempt_counts"

    bucket: Mapped[str] = mapped_column(primary_key=True)
    window_started_at: Mapped[CreatedAt]
    attempts: Mapped[int] = mapped_column(Integer)

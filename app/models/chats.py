"""Chats, who is in them, and what each member has seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, false, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigId, Counter, CreatedAt


class Chat(Base):
    """A direct chat, group or channel. Whoever changes it or who is in it locks this row first.

    Of the messages up to `read_seq` no status can change any more; those up to `delivered_seq` are not delivered later.
    """

    __tablename__ = "chats"
    __table_args__ = (
        CheckConstraint("type IN ('direct', 'group', 'channel')", name="type"),
        Index("uq_chats_username", func.lower("username").label("username"), unique=True),
        Index("ix_chats_avatar_file_id", "avatar_file_id", postgresql_where=text("avatar_file_id IS NOT NULL")),
    )

    id: Mapped[BigId]
    type: Mapped[str]
    name: Mapped[str | None]
    username: Mapped[str | None]
    description: Mapped[str | None]
    avatar_file_id: Mapped[UUID | None]
    direct_key: Mapped[str | None] = mapped_column(unique=True)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    last_seq: Mapped[Counter]
    last_message_id: Mapped[Counter]
    fanned_out_seq: Mapped[Counter]
    delivered_seq: Mapped[Counter]
    read_seq: Mapped[Counter]
    member_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    settings: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    revision: Mapped[Counter]
    members_revision: Mapped[Counter]
    deleted_at: Mapped[datetime | None]


class ChatMember(Base):
    """A person in a chat; `left_at` is set on leaving, so that the person's devices learn of it by sync.

    `banned_until` is set on removal by others: until then only the owner and admins may bring the person back.
    """

    __tablename__ = "chat_members"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member')", name="role"),
        Index("ix_chat_members_user_id_chat_id", "user_id", "chat_id"),
        Index("ix_chat_members_staff", "chat_id", "user_id", postgresql_where=text("role <> 'member'")),
    )

    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str] = mapped_column(server_default="member")
    joined_at: Mapped[CreatedAt]
    left_at: Mapped[datetime | None]
    banned_until: Mapped[datetime | None]
    history_from_seq: Mapped[Counter]
    revision: Mapped[Counter]


class UserChatState(Base):
    """What one member has counted, read and set in a chat.

    `unread_count` counts others' messages in (last_read_seq, counted_seq]; reads add what lies past counted_seq.
    """

    __tablename__ = "user_chat_states"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    chat_id: Mapped[int] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"), primary_key=True)
    unread_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    counted_seq: Mapped[Counter]
    last_read_seq: Mapped[Counter]
    last_read_message_id: Mapped[Counter]
    last_delivered_seq: Mapped[Counter]
    is_pinned: Mapped[bool] = mapped_column(server_default=false())
    is_muted: Mapped[bool] = mapped_column(server_default=false())
    muted_until: Mapped[datetime | None]
    cleared_seq: Mapped[Counter]
    hidden: Mapped[bool] = mapped_column(server_default=false())
    revision: Mapped[Counter]

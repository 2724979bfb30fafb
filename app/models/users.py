"""People, whom they know, whom they block, and what was done to accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, BigId, CreatedAt


class User(Base):
    """A person. An erased account keeps its row (deleted_at) without phone, names and password.

    `sort_name` and the rows of UserName follow the names: whoever writes names calls `index_names` after it.
    """

    __tablename__ = "users"
    __table_args__ = (
        # Serves beginnings of usernames too, whatever the collation of the database.
        Index(
            "uq_users_username",
            func.lower("username").label("username"),
            unique=True,
            postgresql_ops={"username": "text_pattern_ops"},
        ),
        Index("ix_users_avatar_file_id", "avatar_file_id", postgresql_where=text("avatar_file_id IS NOT NULL")),
    )

    id: Mapped[BigId]
    phone: Mapped[str | None] = mapped_column(unique=True)
    username: Mapped[str | None]
    first_name: Mapped[str]
    last_name: Mapped[str | None]
    sort_name: Mapped[str] = mapped_column(Text(collation="C"), server_default="")
    bio: Mapped[str | None]
    password_hash: Mapped[str | None]
    avatar_file_id: Mapped[UUID | None]
    last_seen_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class UserName(Base):
    """A word of a person's names, or the username, as it is searched for: see `app/auth/names.py`."""

    __tablename__ = "user_names"
    __table_args__ = (Index("ix_user_names_user_id_word", "user_id", "word"),)

    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)


class Contact(Base):
    """`user_id` has `contact_id` in the address book; that person may see the user's phone number."""

    __tablename__ = "contacts"
    __table_args__ = (Index("ix_contacts_contact_id_user_id", "contact_id", "user_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[CreatedAt]


class Block(Base):
    """`user_id` has blocked `blocked_id`."""

    __tablename__ = "blocks"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    blocked_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[CreatedAt]


class AuditEntry(Base):
    """What happened to an account or a chat; append only."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    happened_at: Mapped[CreatedAt]
    user_id: Mapped[int | None]
    action: Mapped[str]
    address: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")

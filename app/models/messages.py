"""Messages and what hangs on them. No foreign keys on or to messages: parts of it come and go."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Counter, CreatedAt


class Message(Base):
    """A message. Ids grow with time; `seq` counts 1, 2, 3... in its chat. Partitioned on id by 28 days.

    Nothing uses `deleted_for_users` any more: see MessageHide. A later release drops it.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_chat_id_seq", "chat_id", "seq"),
        Index("ix_messages_chat_id_revision", "chat_id", "revision"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chat_id: Mapped[int]
    seq: Mapped[int]
    sender_id: Mapped[int | None]
    client_id: Mapped[UUID | None]
    message_type: Mapped[str] = mapped_column(server_default="text")
    text: Mapped[str | None]
    file_id: Mapped[UUID | None]
    reply_to_id: Mapped[int | None]
    forwarded_from_user_id: Mapped[int | None]
    status: Mapped[str] = mapped_column(server_default="sent")
    created_at: Mapped[CreatedAt]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    deleted_for_users: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    service: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    revision: Mapped[int]


class MessageHide(Base):
    """A person has deleted a message for oneself. `revision` is that of the person's own state in the chat then."""

    __tablename__ = "message_hides"
    # The conditions hold for all rows: an index serves only statements that say them, so none goes by the wrong one.
    __table_args__ = (
        Index("ix_message_hides_user_id_revision", "user_id", "revision", postgresql_where=text("revision > 0")),
        Index("ix_message_hides_chat_id_seq_user_id", "chat_id", "seq", "user_id", postgresql_where=text("seq > 0")),
    )

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    revision: Mapped[int]


class MessageDedup(Base):
    """Which message a sender's `client_id` became; swept after 7 days."""

    __tablename__ = "message_dedup"
    # Rows lie in the order of their messages, so the sweep finds old ones by a few bytes a block.
    __table_args__ = (Index("ix_message_dedup_message_id", "message_id", postgresql_using="brin"),)

    sender_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    client_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[int]
    body_hash: Mapped[bytes]


class MessageReadReceipt(Base):
    """Who has read a message, and when; kept for chats of up to 200 members."""

    __tablename__ = "message_read_receipts"

    message_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    read_at: Mapped[CreatedAt]


class QueuedReceipt(Base):
    """A member's mark that moved over the messages with seq in (after_seq, up_to_seq], until a worker has seen to it.

    Written in the transaction that moves the mark, so that none is lost; never changed. One that moves over nothing
    says that the member has gone.
    """

    __tablename__ = "receipt_queue"

    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int]
    is_read: Mapped[bool]
    after_seq: Mapped[int]
    up_to_seq: Mapped[int]
    moved_at: Mapped[CreatedAt]


class UnreadRemoval(Base):
    """A message of a large chat that was deleted for everyone, until a worker has taken it out of all unread counts.

    Done are the members up to `passed_user_id`; those of `exempt_user_ids` never had it in their counts.
    """

    __tablename__ = "unread_removals"

    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    passed_user_id: Mapped[Counter]
    exempt_user_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))

"""Files: what is known of them, their objects in storage, uploads that go on later, and who shows them.

A file lives as long as a message or an avatar shows it. Foreign keys without CASCADE see to it that a file goes only
after its objects and references, whose keys stand in `removed_objects` by then: `app/files/removal.py`.
Whoever needs both locks the rows of chats before those of files.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, Integer, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt


class File(Base):
    """A file that was uploaded whole. `mime_type`, `kind` and what follows are found by the worker.

    `sha256` is that of the bytes as they came; the worker fills it in where the API has not seen them all in a row.
    `copies_size` are the bytes of all that was made of it. `failure` says why a file is `failed`. Attempts are counted
    before they begin; while it is `processing` the next one is due at `try_after`. `unused_since` is null while a
    message or an avatar shows it. With `deleted_at` nobody sees or sends it any more, and its objects are gone; the row
    stays until no message refers to it.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("kind IN ('image', 'video', 'audio', 'file')", name="kind"),
        CheckConstraint("status IN ('processing', 'ready', 'failed')", name="status"),
        # The bytes of an owner are summed by it alone.
        Index(
            "ix_files_owner_id_sizes",
            "owner_id",
            postgresql_include=["size", "copies_size"],
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "ix_files_owner_id_processing",
            "owner_id",
            postgresql_where=text("status = 'processing' AND deleted_at IS NULL"),
        ),
        Index(
            "ix_files_processing",
            "try_after",
            postgresql_where=text("status = 'processing' AND deleted_at IS NULL"),
        ),
        Index(
            "ix_files_unused",
            "unused_since",
            postgresql_where=text("unused_since IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index("ix_files_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    size: Mapped[int]
    copies_size: Mapped[int] = mapped_column(server_default=text("0"))
    sha256: Mapped[bytes | None]
    mime_type: Mapped[str] = mapped_column(server_default="application/octet-stream")
    kind: Mapped[str] = mapped_column(server_default="file")
    status: Mapped[str] = mapped_column(server_default="processing")
    failure: Mapped[str | None]
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)
    duration_seconds: Mapped[float | None] = mapped_column(Double)
    preview: Mapped[str | None]
    waveform: Mapped[list[int] | None] = mapped_column(ARRAY(SmallInteger))
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    try_after: Mapped[CreatedAt]
    created_at: Mapped[CreatedAt]
    processed_at: Mapped[datetime | None]
    unused_since: Mapped[datetime | None] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]


class FileObject(Base):
    """What storage keeps of a file: the original as it came, the copy that others get, thumbnails by their names.

    Without `shared` others get the original. Width and height in pixels are those of thumbnails.
    """

    __tablename__ = "file_objects"
    __table_args__ = (CheckConstraint("variant IN ('original', 'shared', 'small', 'medium', 'large')", name="variant"),)

    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"), primary_key=True)
    variant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    mime_type: Mapped[str]
    size: Mapped[int]
    width: Mapped[int | None] = mapped_column(Integer)
    height: Mapped[int | None] = mapped_column(Integer)


class MessageFile(Base):
    """A message, not deleted for everyone, that shows a file. Written and deleted with the message.

    Those of a released history go later: their messages are seen by nobody.
    """

    __tablename__ = "message_files"
    __table_args__ = (Index("ix_message_files_chat_id_seq", "chat_id", "seq"),)

    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"), primary_key=True)
    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]


class ReleasedHistory(Base):
    """A chat whose messages up to `seq` nobody sees any more, and so show no files; a job lets go of these.

    Written with the end of the chat, or the clearing of a direct chat by both; goes with the last of its message_files.
    """

    __tablename__ = "released_histories"
    __table_args__ = (Index("ix_released_histories_since", "since"),)

    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    since: Mapped[CreatedAt]


class UntoldFile(Base):
    """A file that was looked at after messages showed it; those past `(chat_id, message_id)` are not told of it yet."""

    __tablename__ = "untold_files"
    __table_args__ = (Index("ix_untold_files_since", "since"),)

    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    chat_id: Mapped[int]
    message_id: Mapped[int]
    since: Mapped[CreatedAt]


class PendingUpload(Base):
    """An upload that goes on later (tus), or that goes to the storage itself (form); becomes the file of the same id.

    `key` and `token` are those of storage, which knows how far it has come; `size` is what it will have, or at most
    have. `metadata` is the header Upload-Metadata as it came. One request at a time may add to it: whose `lease` it is.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("method IN ('tus', 'form')", name="method"),
        Index("ix_uploads_owner_id", "owner_id", postgresql_include=["size"]),
        Index("ix_uploads_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    method: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    token: Mapped[str]
    name: Mapped[str]
    size: Mapped[int]
    # `metadata` is a word of SQLAlchemy's own.
    tus_metadata: Mapped[str] = mapped_column("metadata", server_default="")
    lease: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]


class RemovedObject(Base):
    """A key whose object storage is to remove, from `due_at` on.

    Written by the transaction that deletes the last row of the key; and before an object is stored, with a `due_at`
    far ahead, so that it goes should its row never come: whoever writes that row deletes this one in the same
    transaction, and gives up where it is gone. So no object is ever without one of the two.
    """

    __tablename__ = "removed_objects"
    __table_args__ = (Index("ix_removed_objects_due_at", "due_at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[CreatedAt]

"""What search is made of. No foreign keys: rows of it may be behind what they are about, and are looked at again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, Text, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Counter


class MessageSearch(Base):
    """What is searched of a message: see `app/search/lexemes.py`. One row for each that is not deleted."""

    __tablename__ = "message_search"
    __table_args__ = (
        Index("ix_message_search_tokens", "tokens", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )

    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    message_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int]
    tokens: Mapped[Any] = mapped_column(TSVECTOR)


class SearchProgress(Base):
    """A chat is in the index up to `revision`; at `whole_revision` all of it was, so all messages with ids up to that.

    While it is indexed anew, `rebuilt_seq` says up to where that is. Whoever indexes a chat holds this row.
    """

    __tablename__ = "search_progress"
    __table_args__ = (
        Index("ix_search_progress_rebuilding", "chat_id", postgresql_where=text("rebuilt_seq IS NOT NULL")),
    )

    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[Counter]
    rebuilt_seq: Mapped[int | None]
    whole_revision: Mapped[Counter]


class ChatName(Base):
    """A word of a public chat's name, or its username, as it is searched for: see `app/auth/names.py`."""

    __tablename__ = "chat_names"
    __table_args__ = (Index("ix_chat_names_chat_id_word", "chat_id", "word"),)

    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    chat_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

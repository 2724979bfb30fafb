"""Asking and indexing, for the tests of search."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.infra import jobs
from app.infra.db import reading, unit_of_work
from app.infra.redis import client
from app.messages import statuses
from app.search import indexing, service
from app.search.schemas import MessageSearch
from tests.factories import run, scalar

Chat = tuple[int, int]
"""A chat, and one of its members."""


def found(user_id: int, q: str = "", **asked: Any) -> list[int]:
    """The ids of all messages that a person finds, page by page; times are given as such."""
    return [item["message"]["id"] for item in items(user_id, q, **asked)]


def items(user_id: int, q: str = "", **asked: Any) -> list[Any]:
    """All that a person finds, page by page."""
    asked = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}
    seen: list[Any] = []
    cursor: str | None = None
    while True:
        with reading() as unit:
            page = service.search_messages(unit, user_id, MessageSearch(q=q, cursor=cursor, **asked))
        assert len(page["items"]) <= asked.get("limit", 50)
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen


def index(*chat_ids: int) -> None:
    """Brings chats into the index, as the job does."""
    assert not indexing.index_all(chat_ids)


_SEND = text("""
    WITH placed AS (
      SELECT t.n, t.sender_id, t.body, t.kind, c.last_seq + t.n AS seq,
        (GREATEST(c.last_message_id, c.revision, message_id_at(clock_timestamp())) >> 12) + t.n << 12
          | (nextval('message_id_seq') & 4095) AS id
      FROM chats c, unnest(CAST(:senders AS bigint[]), CAST(:texts AS text[]), CAST(:kinds AS text[]))
        WITH ORDINALITY AS t (sender_id, body, kind, n)
      WHERE c.id = :chat_id
    ), written AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, message_type, text, revision)
      SELECT id, :chat_id, seq, sender_id, kind, body, id FROM placed ORDER BY n RETURNING id, seq
    ), touched AS (
      UPDATE chats SET last_seq = (SELECT max(seq) FROM written), last_message_id = (SELECT max(id) FROM written),
        revision = (SELECT max(id) FROM written) WHERE id = :chat_id)
    SELECT id FROM written ORDER BY id""")


def write(chat_id: int, sender_id: int | None, *texts: str | None, kind: str = "text") -> list[int]:
    """The ids of new messages, which nobody is told of and no worker knows of."""
    if not texts:
        return []
    with unit_of_work() as unit:
        unit.execute(text("SELECT 1 FROM chats WHERE id = :chat_id FOR UPDATE"), {"chat_id": chat_id})
        parameters = {"chat_id": chat_id, "senders": [sender_id] * len(texts), "texts": list(texts)}
        return list(unit.execute(_SEND, parameters | {"kinds": [kind] * len(texts)}).scalars())


def be_read(chat_id: int, after_seq: int = 0, *, is_read: bool = True) -> None:
    """Has the last of a chat's members read, or only receive, what others wrote past a seq."""
    run(
        "INSERT INTO receipt_queue (chat_id, user_id, is_read, after_seq, up_to_seq)"
        " SELECT id, (SELECT max(user_id) FROM chat_members WHERE chat_id = id), :is_read, :after_seq, last_seq"
        " FROM chats WHERE id = :chat_id AND last_seq > :after_seq",
        chat_id=chat_id,
        is_read=is_read,
        after_seq=after_seq,
    )
    assert statuses.update_all([chat_id])


def leave(chat_id: int, user_id: int) -> None:
    """Ends a membership."""
    run("UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u", c=chat_id, u=user_id)


def in_index(chat_id: int) -> list[int]:
    """The ids of a chat's messages that are in the index."""
    with reading() as unit:
        statement = text("SELECT message_id FROM message_search WHERE chat_id = :c ORDER BY message_id")
        return list(unit.execute(statement, {"c": chat_id}).scalars())


def is_behind(chat_id: int) -> bool:
    """Whether a chat has changed since it was indexed."""
    statement = """
        SELECT c.revision > coalesce(p.revision, 0) FROM chats c LEFT JOIN search_progress p ON p.chat_id = c.id
        WHERE c.id = :c"""
    return bool(scalar(statement, c=chat_id))


def is_marked(chat_id: int) -> bool:
    """Whether a chat is marked for the job that indexes."""
    return bool(client().sismember(jobs.DIRTY_SEARCH, str(chat_id)))

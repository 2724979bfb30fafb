"""SQL of indexing anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork
from app.search.index import Part
from app.search.indexing_queries import SIZE, Change, read_up_to


class Place(NamedTuple):
    """A chat that is being indexed anew, up to where that is, and its last message."""

    chat_id: int
    rebuilt_seq: int
    last_seq: int


class Left(NamedTuple):
    """How many chats, and about how many messages of them, wait to be indexed anew."""

    chats: int
    messages: int


_BEGIN = text("""
    UPDATE search_progress SET rebuilt_seq = 0
    WHERE chat_id IN (SELECT chat_id FROM search_progress WHERE chat_id > :after ORDER BY chat_id LIMIT :most)
    RETURNING chat_id""")

_WAITING = Prepared(
    "search_rebuilding",
    ("bigint", "integer"),
    """
    SELECT chat_id FROM search_progress WHERE rebuilt_seq IS NOT NULL AND chat_id > $1 ORDER BY chat_id LIMIT $2""",
)

_HOLD = Prepared(
    "search_rebuild_hold",
    ("bigint[]",),
    """
    SELECT p.chat_id, p.rebuilt_seq, coalesce((SELECT c.last_seq FROM chats c WHERE c.id = p.chat_id), 0)
    FROM search_progress p WHERE p.chat_id = ANY ($1) AND p.rebuilt_seq IS NOT NULL
    ORDER BY p.chat_id FOR NO KEY UPDATE OF p""",
)

_MESSAGES = Prepared(
    "search_rebuild_messages",
    ("bigint[]", "bigint[]", "bigint[]", "bigint"),
    read_up_to(
        "$4",
        "n, seq",
        f"""
      SELECT x.id, x.chat_id, x.seq, x.sender_id, x.message_type, x.text, x.file_id, x.revision,
        x.deleted_at IS NOT NULL AS is_deleted, true AS is_new_content, k.n,
        CASE WHEN x.deleted_at IS NULL THEN {SIZE} ELSE 0 END AS size
      FROM unnest($1, $2, $3) WITH ORDINALITY AS k (chat_id, after_seq, up_to_seq, n)
      CROSS JOIN LATERAL (
        SELECT * FROM messages
        WHERE chat_id = k.chat_id AND seq > k.after_seq AND seq <= k.up_to_seq ORDER BY seq OFFSET 0) x""",
    ),
)

_ADVANCE = Prepared(
    "search_rebuild_advance",
    ("bigint[]", "bigint[]"),
    """
    UPDATE search_progress p SET rebuilt_seq = k.rebuilt_seq FROM unnest($1, $2) AS k (chat_id, rebuilt_seq)
    WHERE p.chat_id = k.chat_id AND p.chat_id = ANY ($1) RETURNING 1""",
)

_LEFT = text("""
    SELECT count(*), coalesce(sum(c.last_seq - p.rebuilt_seq), 0)::bigint
    FROM search_progress p JOIN chats c ON c.id = p.chat_id WHERE p.rebuilt_seq IS NOT NULL""")

_BE_PATIENT = text("SET LOCAL statement_timeout = 0")


def begin(unit: UnitOfWork, after_chat_id: int, most: int) -> int | None:
    """Has the next chats that are in the index indexed anew; the last of them, None where there were none."""
    return max(unit.execute(_BEGIN, {"after": after_chat_id, "most": most}).scalars(), default=None)


def waiting(unit: UnitOfWork, after_chat_id: int, most: int) -> list[int]:
    """The next chats that wait to be indexed anew."""
    return [row[0] for row in _WAITING.rows(unit.connection, after_chat_id, most)]


def hold(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[Place]:
    """Holds the progress of those of the chats that are being indexed anew."""
    return [Place._make(row) for row in _HOLD.rows(unit.connection, list(chat_ids))]


def messages(unit: UnitOfWork, parts: Sequence[Part], most_bytes: int) -> list[Change]:
    """The messages of parts of chats, in the order of the parts and of seqs, read up to so many bytes."""
    columns = [list(column) for column in zip(*parts, strict=True)]
    return [Change._make(row) for row in _MESSAGES.rows(unit.connection, *columns, most_bytes)]


def advance(unit: UnitOfWork, chat_ids: Sequence[int], rebuilt_seqs: Sequence[int | None]) -> None:
    """Notes up to where held chats are indexed anew; None: to the end."""
    _ADVANCE.rows(unit.connection, list(chat_ids), list(rebuilt_seqs))


def left(unit: UnitOfWork) -> Left:
    """What waits to be indexed anew."""
    unit.execute(_BE_PATIENT)
    return Left._make(unit.execute(_LEFT).one())

"""SQL of filling the index: what changed in chats since they were indexed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork


class ChatNow(NamedTuple):
    """A chat as it is, the revision up to which it is in the index, and the last one at which all of it was there."""

    chat_id: int
    indexed_revision: int
    whole_revision: int
    revision: int
    name: str | None
    username: str | None


class Change(NamedTuple):
    """A message as it is. `is_new_content`: what is searched of it may not be in the index.

    `is_read`: it is among the first that have so many bytes together; else its text and the name of its file are None.
    """

    message_id: int
    chat_id: int
    seq: int
    sender_id: int | None
    message_type: str
    text: str | None
    file_name: str | None
    revision: int
    is_deleted: bool
    is_new_content: bool
    is_read: bool


class Behind(NamedTuple):
    """Chats that changed since they were indexed, and the last chat that was looked at; None: all were."""

    chat_ids: list[int]
    last_chat_id: int | None


_BEGIN = Prepared(
    "search_begin",
    ("bigint[]",),
    """
    INSERT INTO search_progress (chat_id) SELECT id FROM unnest($1) AS k (id)
    WHERE NOT EXISTS (SELECT FROM search_progress p WHERE p.chat_id = k.id OFFSET 0) ORDER BY id
    ON CONFLICT DO NOTHING RETURNING 1""",
)
_HOLD = Prepared(
    "search_hold",
    ("bigint[]",),
    "SELECT 1 FROM search_progress WHERE chat_id = ANY ($1) ORDER BY chat_id FOR NO KEY UPDATE",
)

# In a snapshot taken once the rows are held.
_CHATS = Prepared(
    "search_chats_now",
    ("bigint[]",),
    """
    SELECT c.id, p.revision, p.whole_revision, c.revision, c.name, c.username
    FROM unnest($1) AS k (id)
    CROSS JOIN LATERAL (SELECT * FROM chats WHERE id = k.id OFFSET 0) c
    CROSS JOIN LATERAL (SELECT * FROM search_progress WHERE chat_id = k.id OFFSET 0) p
    WHERE c.revision > p.revision ORDER BY c.id""",
)

# How long a text is, is known without reading it. The name of a file is counted as the longest that there is.
SIZE = "coalesce(octet_length(x.text), 0) + CASE WHEN x.file_id IS NULL THEN 0 ELSE 255 END"


def read_up_to(most_bytes: str, order: str, found: str) -> str:
    """SQL of the messages of a sub-select in this order, with texts and names of the first that have so many bytes.

    The sub-select has the columns of Change but the last, with `file_id` in place of the name, and `size`.
    """
    return f"""
    SELECT b.id, b.chat_id, b.seq, b.sender_id, b.message_type, CASE WHEN b.is_read THEN b.text END,
      CASE WHEN b.is_read THEN (SELECT f.name FROM files f WHERE f.id = b.file_id) END,
      b.revision, b.is_deleted, b.is_new_content, b.is_read
    FROM (
      SELECT a.*, sum(a.size) OVER w <= {most_bytes} OR row_number() OVER w = 1 AS is_read
      FROM ({found}) a
      WINDOW w AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)) b
    ORDER BY {order}"""


# What had its id when the chat was last in the index as a whole is there, and what has moved since without an edit or a
# deletion is as it was: it was read, for example. What is newer may have been read while it waited, so the revision up
# to which a part of the chat is there says nothing of it. What shows a file may have got another type, or have lost it.
_IS_NEW = """x.id > k.whole_revision OR x.edited_at IS NOT NULL OR x.deleted_at IS NOT NULL
        OR x.message_type NOT IN ('text', 'service')"""

# In turns, one message of each chat: a chat with much to do does not hold up the others.
_CHANGES = Prepared(
    "search_changes",
    ("bigint[]", "bigint[]", "bigint[]", "integer", "bigint"),
    read_up_to(
        "$5",
        "turn, chat_id",
        f"""
      SELECT x.id, x.chat_id, x.seq, x.sender_id, x.message_type, x.text, x.file_id, x.revision,
        x.deleted_at IS NOT NULL AS is_deleted, {_IS_NEW} AS is_new_content, x.turn,
        CASE WHEN x.deleted_at IS NULL AND ({_IS_NEW}) THEN {SIZE} ELSE 0 END AS size
      FROM unnest($1, $2, $3) AS k (chat_id, revision, whole_revision)
      CROSS JOIN LATERAL (
        SELECT *, row_number() OVER (ORDER BY y.revision) AS turn FROM messages y
        WHERE y.chat_id = k.chat_id AND y.revision > k.revision
        ORDER BY y.revision LIMIT $4) x""",
    ),
)

_ADVANCE = Prepared(
    "search_advance",
    ("bigint[]", "bigint[]", "boolean[]"),
    """
    UPDATE search_progress p
    SET revision = k.revision, whole_revision = CASE WHEN k.is_whole THEN k.revision ELSE p.whole_revision END
    FROM unnest($1, $2, $3) AS k (chat_id, revision, is_whole)
    WHERE p.chat_id = k.chat_id AND p.chat_id = ANY ($1) RETURNING 1""",
)

# What stays is left alone.
_NAME = Prepared(
    "search_name_chats",
    ("bigint[]", "text[]", "bigint[]"),
    """
    WITH given AS (
      SELECT * FROM unnest($2, $3) AS g (word, chat_id)
    ), gone AS (
      DELETE FROM chat_names o WHERE o.chat_id = ANY ($1)
        AND NOT EXISTS (SELECT FROM given g WHERE g.word = o.word AND g.chat_id = o.chat_id))
    INSERT INTO chat_names (word, chat_id) SELECT word, chat_id FROM given ORDER BY chat_id, word
    ON CONFLICT DO NOTHING RETURNING 1""",
)

_BEHIND = Prepared(
    "search_behind",
    ("bigint", "integer", "integer"),
    """
    WITH looked_at AS MATERIALIZED (SELECT id, revision FROM chats WHERE id > $1 ORDER BY id LIMIT $2)
    SELECT ARRAY(
      SELECT l.id FROM looked_at l
      WHERE l.revision > coalesce((SELECT p.revision FROM search_progress p WHERE p.chat_id = l.id), 0)
        AND ($3 = 0 OR l.revision < message_id_at(clock_timestamp() - make_interval(secs => $3)))
      ORDER BY l.id),
      count(*), max(id) FROM looked_at""",
)

_COUNT_BEHIND = text("""
    SELECT count(*) FROM (
      SELECT FROM chats c LEFT JOIN search_progress p ON p.chat_id = c.id
      WHERE c.revision > coalesce(p.revision, 0)
        AND c.revision < message_id_at(clock_timestamp() - make_interval(secs => :seconds))
      LIMIT :most) b""")


def hold(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[ChatNow]:
    """Holds the progress of chats, and gives those that changed since they were indexed."""
    _BEGIN.rows(unit.connection, list(chat_ids))
    _HOLD.rows(unit.connection, list(chat_ids))
    return [ChatNow._make(row) for row in _CHATS.rows(unit.connection, list(chat_ids))]


def changes(unit: UnitOfWork, chats: Sequence[ChatNow], most: int, most_bytes: int) -> list[Change]:
    """Messages of the chats with revisions past the indexed ones, at `most` of each chat, read up to so many bytes.

    Of each chat the least revision comes first, and its next one after those of the others.
    """
    chat_ids, revisions, wholes, *_ = (list(column) for column in zip(*chats, strict=True))
    rows = _CHANGES.rows(unit.connection, chat_ids, revisions, wholes, most, most_bytes)
    return [Change._make(row) for row in rows]


def advance(unit: UnitOfWork, wholes: Mapping[int, int], parts: Mapping[int, int]) -> None:
    """Notes up to which revision held chats are in the index: some as a whole, of others a part."""
    revisions = {**wholes, **parts}
    are_whole = [chat_id in wholes for chat_id in revisions]
    _ADVANCE.rows(unit.connection, list(revisions), list(revisions.values()), are_whole)


def name_chats(unit: UnitOfWork, chat_ids: Sequence[int], words: Sequence[tuple[str, int]]) -> None:
    """Replaces the words of chats, given as (word, chat)."""
    _NAME.rows(unit.connection, list(chat_ids), [word for word, _ in words], [chat_id for _, chat_id in words])


def behind(unit: UnitOfWork, after_chat_id: int, most: int, age_seconds: int) -> Behind:
    """Those of the next chats, at `most` so many, that are behind and last changed so long ago; 0: at any time."""
    row = _BEHIND.row(unit.connection, after_chat_id, most, age_seconds)
    assert row is not None
    return Behind(row[0], row[2] if row[1] == most else None)


def count_behind(unit: UnitOfWork, most: int, age_seconds: int) -> int:
    """How many chats are behind, counted up to `most`; looks at all chats."""
    return int(unit.execute(_COUNT_BEHIND, {"most": most, "seconds": age_seconds}).scalar_one())

"""Every SQL statement of the index in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.infra.db import Prepared, UnitOfWork
from app.search.index import Document, Part, Range, Scope


class Head(NamedTuple):
    """The newest message of a chat in the index that may be found, where looking begins; past `floor_seq`."""

    chat_id: int
    floor_seq: int
    message_id: int
    seq: int


class Stretch(NamedTuple):
    """A part of a chat: messages below `before` past some seq, and the question for the shelf they are on."""

    chat_id: int
    before: int
    least_seq: int
    question: str
    words: str | None
    """The question without places of words, as the index understands it; None where that is the question."""
    beginning: str | None
    """The part of the question that may be the beginning of a word; None where nothing is left without it."""
    rest: str | None
    """That rest, without places."""


class Asked(NamedTuple):
    """A stretch to ask the index by words about: with the whole question, and with what of it the index shall find."""

    before: int
    least_seq: int
    question: str
    indexed: str


class Walked(NamedTuple):
    """What was seen on a stretch: how many messages, the least id on it, the least seq at all, and what fits."""

    seen: int
    least_id: int | None
    least_seq: int | None
    proposed: int
    """How many fit the words; 0 where these were not asked about, as with the next two."""
    begun: int
    """How many fit the beginning."""
    rest: int
    """How many fit the rest."""
    found: list[int]


class Hit(NamedTuple):
    """A message that fits the question with this number."""

    number: int
    message_id: int
    seq: int


_STORE = Prepared(
    "search_store",
    ("bigint[]", "bigint[]", "bigint[]", "tsvector[]"),
    """
    INSERT INTO message_search (chat_id, message_id, seq, tokens)
    SELECT * FROM unnest($1, $2, $3, $4)
    ON CONFLICT (chat_id, message_id) DO UPDATE SET tokens = excluded.tokens
    WHERE message_search.tokens <> excluded.tokens
    RETURNING 1""",
)

_REMOVE = Prepared(
    "search_remove",
    ("bigint", "bigint[]"),
    "DELETE FROM message_search WHERE chat_id = $1 AND message_id = ANY ($2) RETURNING 1",
)

# By ids, as the index has no order of seqs. Where the first message is gone with its part of the table, from there on.
_KEEP_ONLY = Prepared(
    "search_keep_only",
    ("bigint", "bigint", "bigint", "bigint[]"),
    """
    DELETE FROM message_search
    WHERE chat_id = $1 AND seq > $2 AND seq <= $3 AND message_id <> ALL ($4)
      AND message_id > coalesce((SELECT id FROM messages WHERE chat_id = $1 AND seq = $2 LIMIT 1), 0)
      AND message_id < coalesce((SELECT id FROM messages WHERE chat_id = $1 AND seq = $3 + 1 LIMIT 1), 2^62::bigint)
    RETURNING 1""",
)

_HEADS = Prepared(
    "search_heads",
    ("bigint[]", "bigint[]", "bigint", "bigint"),
    """
    SELECT k.chat_id, GREATEST(k.floor_seq, (
        SELECT seq - 1 FROM message_search
        WHERE $3 > 0 AND chat_id = k.chat_id AND message_id > $3 ORDER BY message_id LIMIT 1)),
      n.message_id, n.seq
    FROM unnest($1, $2) AS k (chat_id, floor_seq)
    CROSS JOIN LATERAL (
      SELECT message_id, seq FROM message_search
      WHERE chat_id = k.chat_id AND message_id < $4 ORDER BY message_id DESC LIMIT 1) n
    WHERE n.seq > k.floor_seq AND n.message_id > $3""",
)

# Along the primary key, newest first: only what lies inside the LIMIT is looked at, whatever fits.
_WALK = Prepared(
    "search_walk",
    ("bigint[]", "bigint[]", "bigint[]", *["tsquery[]"] * 4, "integer[]", "bigint"),
    """
    SELECT w.*
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY
      AS k (chat_id, before, least_seq, question, words, beginning, rest, most, n)
    CROSS JOIN LATERAL (
      SELECT count(*), min(r.message_id) FILTER (WHERE r.seq >= k.least_seq), min(r.seq),
        count(*) FILTER (WHERE r.tokens @@ k.words), count(*) FILTER (WHERE r.tokens @@ k.beginning),
        count(*) FILTER (WHERE r.tokens @@ k.rest),
        coalesce(array_agg(r.message_id) FILTER (WHERE r.seq >= k.least_seq AND r.tokens @@ k.question), '{}')
      FROM (
        SELECT message_id, seq, tokens FROM message_search
        WHERE chat_id = k.chat_id AND message_id < k.before AND message_id > $9
        ORDER BY message_id DESC LIMIT k.most) r) w
    ORDER BY k.n""",
)

# By the index of tokens, which holds the chat as well. `message_id + 0` keeps the planner off the primary key, and
# IS TRUE the whole question off the index. Each list leads to some dozens of pages: to hand them to other processes of
# PostgreSQL that read them costs more than to read them.
_LOOK_UP = Prepared(
    "search_look_up",
    ("bigint[]", "bigint[]", "tsquery[]", "tsquery[]", "bigint", "integer"),
    """
    SELECT k.n, f.message_id, f.seq
    FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS k (before, least_seq, question, indexed, n)
    CROSS JOIN LATERAL (
      SELECT message_id, seq FROM message_search
      WHERE tokens @@ k.indexed AND message_id + 0 < k.before AND message_id + 0 > $5 AND seq >= k.least_seq
        AND (tokens @@ k.question) IS TRUE
      ORDER BY message_id + 0 DESC LIMIT $6) f
    ORDER BY k.n, f.message_id DESC""",
    "effective_io_concurrency = 0",
)


def store(unit: UnitOfWork, documents: Sequence[Document], vectors: Sequence[str]) -> None:
    """Writes the tokens of messages, over those that they had."""
    _STORE.rows(
        unit.connection,
        [document.chat_id for document in documents],
        [document.message_id for document in documents],
        [document.seq for document in documents],
        list(vectors),
    )


def remove(unit: UnitOfWork, chat_id: int, message_ids: Sequence[int]) -> None:
    """Deletes messages of a chat from the index."""
    _REMOVE.rows(unit.connection, chat_id, list(message_ids))


def keep_only(unit: UnitOfWork, part: Part, message_ids: Sequence[int]) -> None:
    """Deletes from a part of the index what is none of these messages."""
    _KEEP_ONLY.rows(unit.connection, *part, list(message_ids))


def heads(unit: UnitOfWork, scopes: Sequence[Scope], within: Range) -> list[Head]:
    """The newest message in the range of each chat that has one."""
    chat_ids, floors = [scope.chat_id for scope in scopes], [scope.floor_seq for scope in scopes]
    return [Head._make(row) for row in _HEADS.rows(unit.connection, chat_ids, floors, *within)]


def walk(unit: UnitOfWork, stretches: Sequence[Stretch], most: Sequence[int], after: int) -> list[Walked]:
    """Looks at the newest messages of stretches, at `most` of each, one by one."""
    columns = [list(column) for column in zip(*stretches, strict=True)]
    return [Walked(*row) for row in _WALK.rows(unit.connection, *columns, list(most), after)]


def look_up(unit: UnitOfWork, asked: Sequence[Asked], after: int, most: int) -> list[Hit]:
    """The newest messages that fit, at `most` of each stretch; numbers of stretches count from 1."""
    columns = [list(column) for column in zip(*asked, strict=True)]
    return [Hit._make(row) for row in _LOOK_UP.rows(unit.connection, *columns, after, most)]

"""SQL of reading: pages of history, and a chat's messages by seq."""

from __future__ import annotations

from typing import Any, NamedTuple

from app.chats.hides import is_hidden
from app.chats.message import COLUMN_COUNT, columns
from app.infra.db import Prepared, UnitOfWork

Row = tuple[Any, ...]

# A member's page of history, by seq: ids and seqs of a chat grow together, and only the index (chat_id, seq) gives this
# order, so that neither a quiet nor a huge chat is searched in another one. The bound on id only leaves older parts of
# the table out (with one on both sides the planner takes the range for small and reads all of it by the primary key),
# and with it a window of seqs: the part where the bound lies, and in a hypertable every older one, would be read
# message by message for ids past it. The outer joins leave a row of nulls where a member's page is empty, and none
# where the caller is no member.
_PAGE = """
    SELECT {columns}, {view}, c.last_seq, COALESCE($4, a.seq + $5), COALESCE(a.is_shown, false)
    FROM chat_members m
    JOIN chats c ON c.id = m.chat_id
    JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
    LEFT JOIN LATERAL (
      SELECT y.seq, y.seq > GREATEST(s.cleared_seq, m.history_from_seq) AND y.deleted_at IS NULL
        AND NOT {is_place_hidden} AS is_shown
      FROM messages y WHERE y.id = $3 AND y.chat_id = m.chat_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (
      SELECT * FROM messages x
      WHERE x.chat_id = m.chat_id AND x.seq {side} COALESCE($4, a.seq + $5) AND x.id > $6
        AND x.seq > CASE WHEN $6 > 0 THEN LEAST(COALESCE($4, a.seq + $5), c.last_seq + 1) - 1000 ELSE 0 END
        AND x.seq > GREATEST(s.cleared_seq, m.history_from_seq) AND x.deleted_at IS NULL AND NOT {is_hidden}
      ORDER BY x.seq {order} LIMIT $7) x ON true
    WHERE m.chat_id = $1 AND m.user_id = $2 AND m.left_at IS NULL
    ORDER BY x.seq {order}"""
_PAGE_TYPES = ("bigint", "bigint", "bigint", "bigint", "bigint", "bigint", "integer")
# What a member sees of a chat: as of which revision, and past which seq; null for who has deleted messages for oneself.
_VIEW = """
    c.revision,
    CASE WHEN (SELECT true FROM message_hides hide WHERE hide.user_id = $2 AND hide.chat_id = $1 LIMIT 1) IS NULL
      THEN GREATEST(s.cleared_seq, m.history_from_seq) END"""
_PARTS = {
    "view": _VIEW,
    "columns": columns("x"),
    "is_hidden": is_hidden("x", "$2"),
    "is_place_hidden": is_hidden("y", "$2"),
}
_OLDER = Prepared("history_older", _PAGE_TYPES, _PAGE.format(**_PARTS, side="<", order="DESC"))
_NEWER = Prepared("history_newer", _PAGE_TYPES, _PAGE.format(**_PARTS, side=">", order="ASC"))


class Place(NamedTuple):
    """Where a page begins, itself left out: at a message's id, moved by `shift` seqs, or at a seq."""

    message_id: int | None
    seq: int | None
    shift: int = 0


class View(NamedTuple):
    """What a member sees of a chat: what there is at a revision, past `floor_seq`.

    `floor_seq` is None for who sees less than that, with messages deleted for oneself in between.
    """

    revision: int
    floor_seq: int | None


class Page(NamedTuple):
    """Rows of messages, the chat's last seq, and the seq where the page began (None: no such message in the chat).

    `shows_place`: the page began at a message that the member may see.
    """

    rows: list[Row]
    view: View
    last_seq: int
    place_seq: int | None
    shows_place: bool


def older(unit: UnitOfWork, user_id: int, chat_id: int, before: Place, least_id: int, limit: int) -> Page | None:
    """Messages before a place with an id past `least_id`, newest first; None where the caller is not a member."""
    return _page(_OLDER.rows(unit.connection, chat_id, user_id, *before, least_id, limit))


def newer(unit: UnitOfWork, user_id: int, chat_id: int, after: Place, limit: int) -> Page | None:
    """Messages after a place, oldest first; None where the caller is not a member."""
    return _page(_NEWER.rows(unit.connection, chat_id, user_id, *after, 0, limit))


def _page(found: list[Row]) -> Page | None:
    if not found:
        return None
    revision, floor_seq, *about = found[0][COLUMN_COUNT:]
    # Where a member's page is empty, its only row is one of nulls.
    return Page([] if found[0][0] is None else found, View(revision, floor_seq), *about)


_VIEWED = Prepared(
    "history_view",
    ("bigint", "bigint"),
    f"""
    SELECT {_VIEW}
    FROM chat_members m
    JOIN chats c ON c.id = m.chat_id
    JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id
    WHERE m.chat_id = $1 AND m.user_id = $2 AND m.left_at IS NULL""",
)


def view(unit: UnitOfWork, user_id: int, chat_id: int) -> View | None:
    """What the caller sees of a chat now; None where the caller is not a member."""
    row = _VIEWED.row(unit.connection, chat_id, user_id)
    return None if row is None else View._make(row)


_BY_SEQ = Prepared(
    "messages_by_seq",
    ("bigint", "bigint", "bigint"),
    f"SELECT {columns('x')} FROM messages x WHERE x.chat_id = $1 AND x.seq > $2 AND x.seq <= $3 ORDER BY x.seq",
)


def id_at(unit: UnitOfWork, chat_id: int, seq: int) -> int:
    """The id of a chat's message; 0 where it is gone."""
    rows = by_seq(unit, chat_id, seq - 1, seq)
    return int(rows[0][0]) if rows else 0


def by_seq(unit: UnitOfWork, chat_id: int, after: int, up_to: int) -> list[Row]:
    """A chat's messages with seq in (after, up_to], oldest first."""
    return _BY_SEQ.rows(unit.connection, chat_id, after, up_to)

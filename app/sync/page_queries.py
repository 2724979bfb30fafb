"""The statement that reads a page of catching up."""

from __future__ import annotations

from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from app.chats.change_queries import CHANGED
from app.chats.changes import ChangedChat
from app.chats.hides import is_hidden
from app.chats.message import COLUMN_COUNT, columns
from app.chats.queries.views import WITHOUT_LAST_MESSAGE, shown
from app.infra.db import Prepared, UnitOfWork
from app.sync.queries import LOOK, LOOKED_AT, horizon_of, longest_reading
from app.web.input import LARGEST_ID

Row = tuple[Any, ...]

REVISION = 13
"""Where a message's row holds its revision."""

IS_DELETED_FOR_ME = COLUMN_COUNT
"""Where it holds whether the person has deleted it for oneself."""

FIRST = 20
"""So many messages of each changed chat are looked at, to find out which chats a page is made of."""

# By the index (chat_id, revision), only in chats that changed: a chat's revision is past that of all its messages. The
# page ends no later than the $3 first of all chats' first messages. Up to there most chats have fewer than these; only
# those that have them all, at most one for every so many messages of a page, are read on. Each part has one bound on
# the revision: with two PostgreSQL takes what lies between for little, and reads all of it. `seq + 0` keeps it from
# taking the index (chat_id, seq) where it expects less than a page in a chat, and then sorting. What the person deleted
# for oneself comes as a tombstone, so that the other devices drop it: with the revision of the deletion, which has
# moved none of the message, and again with the message's own where that moves.
_MESSAGES = f"""
    firsts AS MATERIALIZED (
      SELECT k.chat_id, k.from_seq, x.revision
      FROM changed k
      CROSS JOIN LATERAL (
        SELECT y.revision FROM messages y
        WHERE y.chat_id = k.chat_id AND y.revision > $2 AND y.seq + 0 > k.from_seq
        ORDER BY y.revision LIMIT {FIRST}) x
      WHERE k.is_member AND k.chat_revision > $2
    ), shares AS MATERIALIZED (
      SELECT f.chat_id, f.from_seq, CASE WHEN count(*) < {FIRST} THEN count(*) ELSE $3 END AS share
      FROM firsts f
      WHERE f.revision <= coalesce((SELECT revision FROM firsts ORDER BY revision OFFSET $3 - 1 LIMIT 1), f.revision)
      GROUP BY f.chat_id, f.from_seq
    ), page AS MATERIALIZED (
      SELECT {columns("x")}, x.is_deleted_for_me
      FROM shares k
      CROSS JOIN LATERAL (
        SELECT y.*, {is_hidden("y", "$1")} AS is_deleted_for_me FROM messages y
        WHERE y.chat_id = k.chat_id AND y.revision > $2 AND y.seq + 0 > k.from_seq
        ORDER BY y.revision LIMIT k.share) x
      UNION ALL
      (SELECT {columns("x").replace("x.revision", "h.revision")}, true
       FROM message_hides h
       CROSS JOIN LATERAL (
         SELECT history_from_seq FROM chat_members
         WHERE chat_id = h.chat_id AND user_id = h.user_id AND left_at IS NULL OFFSET 0) m
       CROSS JOIN LATERAL (
         SELECT cleared_seq FROM user_chat_states WHERE user_id = h.user_id AND chat_id = h.chat_id OFFSET 0) s
       CROSS JOIN LATERAL (
         SELECT * FROM messages y
         WHERE y.id = h.message_id AND y.seq > GREATEST(s.cleared_seq, m.history_from_seq) OFFSET 0) x
       WHERE h.user_id = $1 AND h.revision > $2 AND h.revision > 0
       ORDER BY h.revision LIMIT $3)
      ORDER BY revision LIMIT $3
    )"""

# Where the page is full of messages, chats that changed later belong to the next one.
_CHATS = f"""
    chats_of_page AS MATERIALIZED (
      SELECT k.chat_id, k.revision, k.removed_revision, CASE WHEN k.is_listed THEN k.chat_id END AS listed_id
      FROM changed k
      WHERE (k.is_listed OR k.revision > $5 AND NOT k.was_never_shown)
        AND k.revision <= coalesce((SELECT max(revision) FROM page HAVING count(*) = $3), {LARGEST_ID})
      ORDER BY k.revision LIMIT $4
    )"""


def _nulls(count: int) -> str:
    return ", ".join(["NULL"] * count)


# Rows of three kinds in the columns of one: a chat that changed, with its last message; what LOOK found; a message.
# Each part finds its rows by one index: what is materialized or lateral keeps the planner from joining the parts in
# another way, whatever it thinks of their sizes. All that is shown is shown as of one moment, after the look.
_PAGE = Prepared(
    "sync_page",
    ("bigint", "bigint", "integer", "integer", "bigint"),
    f"""
    WITH changed AS MATERIALIZED ({CHANGED}), {_MESSAGES}, {_CHATS}
    SELECT k.chat_id, k.revision, k.removed_revision, NULL::text AS look, v.*, NULL::boolean AS is_deleted_for_me
    FROM chats_of_page k LEFT JOIN LATERAL ({shown("k.listed_id")}) v ON true
    UNION ALL
    SELECT NULL, NULL, NULL, {LOOKED_AT}, {_nulls(WITHOUT_LAST_MESSAGE + COLUMN_COUNT + 1)}
    UNION ALL
    SELECT {_nulls(4 + WITHOUT_LAST_MESSAGE)}, x.* FROM page x""",
    # Where it expects few messages in a chat, PostgreSQL would read all of them by a bitmap, and sort.
    setting="enable_bitmapscan = off",
    after=LOOK,
)
_LOOK, _CHAT = 3, 4
_MESSAGE = _CHAT + WITHOUT_LAST_MESSAGE


class Page(NamedTuple):
    """What changed, the least revisions first; all up to `horizon` was committed before."""

    horizon: int
    chats: list[ChangedChat]
    messages: list[Row]


def page(unit: UnitOfWork, user_id: int, after: int, most_messages: int, most_chats: int, removed_after: int) -> Page:
    """What the person may see with a revision past `after`: at most so many messages, and so many chats.

    Where there are as many messages, only chats that changed no later than the last of them. Of chats that are left or
    out of the list, those with a revision past `removed_after`.
    """
    rows = _PAGE.rows(unit.connection, longest_reading(), user_id, after, most_messages, most_chats, removed_after)
    (look,) = [row[_LOOK] for row in rows if row[_LOOK] is not None]
    chats = [ChangedChat(row[0], row[1], row[2], row[_CHAT:]) for row in rows if row[0] is not None]
    messages = [row[_MESSAGE:] for row in rows if row[_MESSAGE] is not None and row[0] is None]
    chats.sort(key=attrgetter("revision"))
    messages.sort(key=itemgetter(REVISION))
    return Page(horizon_of(look), chats, messages)

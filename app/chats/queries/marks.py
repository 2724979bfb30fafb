"""What follows when a member's mark moves: the queue that workers empty, and who is to be told."""

from __future__ import annotations

from sqlalchemy import text

from app.chats.queries.blocks import blocks_peer
from app.infra.db import Prepared, UnitOfWork

# Larger groups do not tell who has read what, as in Telegram.
LARGEST_GROUP_WITH_RECEIPTS = 200

# Who is told of a mark that moved over more than this learns the rest by sync.
_MOST_SEQS_TOLD = 1_000


def queueing(user_id: str, chat_id: str, is_read: bool, after_seq: str, up_to_seq: str) -> str:
    """The INSERT that queues a mark moved over (after_seq, up_to_seq] by the row `moved` of the same statement.

    The arguments are SQL. A row for each move, rather than one for each chat: it can be deleted by its key once its
    work is done, without taking with it a move that another transaction is about to commit. Left out is what changes
    nothing: where nobody else is there, in channels, and in large groups behind whoever was first. Left out, too, is
    what the member reads of somebody whom the member blocks; the end of the block queues it.
    """
    settled, needed = ("read_seq", "c.member_count <= {most} OR") if is_read else ("delivered_seq", "")
    return f"""
      INSERT INTO receipt_queue (chat_id, user_id, is_read, after_seq, up_to_seq)
      SELECT c.id, {user_id}, {is_read}, {after_seq}, {up_to_seq} FROM moved CROSS JOIN chats c
      WHERE c.id = {chat_id} AND c.type <> 'channel' AND c.member_count > 1
        AND ({needed.format(most=LARGEST_GROUP_WITH_RECEIPTS)} {up_to_seq} > c.{settled})
        AND NOT {blocks_peer("c", user_id)}
      RETURNING id"""


# Moves over nothing. What waits for this member to read it may have nobody left to do so, which a worker finds out.
_QUEUE_DEPARTURE = text("""
    INSERT INTO receipt_queue (chat_id, user_id, is_read, after_seq, up_to_seq)
    SELECT c.id, s.user_id, true, s.last_read_seq, s.last_read_seq
    FROM chats c JOIN user_chat_states s ON s.chat_id = c.id AND s.user_id = :user_id
    WHERE c.id = :chat_id AND c.type <> 'channel' AND c.read_seq < c.last_seq AND s.last_read_seq < c.last_seq""")

# The newest messages only; the bound on id leaves older parts of the table out. Whom the member blocks in a direct chat
# learns nothing.
_AUTHORS = Prepared(
    "mark_authors",
    ("bigint", "bigint", "bigint", "bigint", "bigint"),
    f"""
    SELECT m.user_id
    FROM (
      SELECT DISTINCT x.sender_id FROM (
        SELECT sender_id FROM messages
        WHERE chat_id = $1 AND seq > $3 AND seq <= $4 AND id > $5 AND sender_id <> $2 AND deleted_at IS NULL
        ORDER BY seq DESC OFFSET 0) x) a
    CROSS JOIN LATERAL (
      SELECT user_id FROM chat_members
      WHERE chat_id = $1 AND user_id = a.sender_id AND left_at IS NULL OFFSET 0) m
    WHERE NOT EXISTS (SELECT FROM chats c WHERE c.id = $1 AND {blocks_peer("c", "$2")})
    ORDER BY m.user_id""",
)

# Ids of 60 days.
_RECENT = 60 * 86_400_000 << 12


def authors(unit: UnitOfWork, chat_id: int, user_id: int, after_seq: int, up_to_seq: int, message_id: int) -> list[int]:
    """Present members other than `user_id` who wrote messages in (after_seq, up_to_seq], of its last 1,000 and 60 days.

    `message_id` is that of the message at `up_to_seq`.
    """
    after_seq = max(after_seq, up_to_seq - _MOST_SEQS_TOLD)
    rows = _AUTHORS.rows(unit.connection, chat_id, user_id, after_seq, up_to_seq, message_id - _RECENT)
    return [row[0] for row in rows]


def queue_departure(unit: UnitOfWork, chat_id: int, user_id: int) -> bool:
    """Queues that a member of a locked chat goes who has not read all of it; False where nothing waits for that."""
    return unit.execute(_QUEUE_DEPARTURE, {"chat_id": chat_id, "user_id": user_id}).rowcount > 0

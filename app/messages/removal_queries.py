"""Every SQL statement that takes deleted messages out of unread counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from app.chats.unread import UNREAD, is_for
from app.infra.db import Prepared, UnitOfWork
from app.messages.unread_queries import Unread


class Waiting(NamedTuple):
    """Messages of a chat, by seq, that are still in the counts of all members past a person's id."""

    passed_user_id: int
    seqs: list[int]


# Also states that are not counted so far yet are locked: a fan-out that counts them then waits for the deletion to
# commit, and sees it. Who is not in the chat any more has no count, and begins anew on coming back. Bounds on
# (chat_id, user_id) keep the planner off the index of user_id, and each state is locked by its key, in that order:
# joined, the states of everybody would be read.
_LOCK = Prepared(
    "removal_lock",
    ("bigint", "bigint", "bigint", "bigint"),
    """
    SELECT s.user_id
    FROM (
      SELECT chat_id, user_id FROM chat_members
      WHERE (chat_id, user_id) > ($1, $2) AND (chat_id, user_id) <= ($1, $3) AND left_at IS NULL
      ORDER BY chat_id, user_id OFFSET 0) m
    CROSS JOIN LATERAL (
      SELECT user_id FROM user_chat_states
      WHERE user_id = m.user_id AND chat_id = m.chat_id AND last_read_seq < $4
      OFFSET 0 FOR NO KEY UPDATE) s""",
)

_TAKE_OUT = Prepared(
    "removal_take_out",
    ("bigint", "bigint[]", "bigint[]"),
    f"""
    WITH gone AS MATERIALIZED (
      SELECT id, chat_id, seq, sender_id, message_type FROM messages
      WHERE chat_id = $1 AND seq = ANY ($3) AND message_type <> 'service'
    ), share AS MATERIALIZED (
      SELECT s.user_id, count(*) AS removed
      FROM unnest($2) AS k (user_id)
      CROSS JOIN LATERAL (
        SELECT user_id, last_read_seq, counted_seq FROM user_chat_states
        WHERE user_id = k.user_id AND chat_id = $1 OFFSET 0) s
      JOIN gone g ON g.seq > s.last_read_seq AND g.seq <= s.counted_seq AND {is_for("g", "s.user_id")}
      GROUP BY s.user_id
    )
    UPDATE user_chat_states s SET unread_count = s.unread_count - share.removed
    FROM share CROSS JOIN (SELECT id, last_seq, revision FROM chats WHERE id = $1 OFFSET 0) c
    WHERE s.user_id = share.user_id AND s.chat_id = $1
    RETURNING s.chat_id, s.user_id, ({UNREAD})::bigint, next_message_id(GREATEST(s.revision, c.revision))""",
)

_OF_ONE = Prepared(
    "removal_of_one",
    ("bigint", "bigint"),
    f"""
    SELECT s.chat_id, s.user_id, ({UNREAD})::bigint, next_message_id(GREATEST(s.revision, c.revision))
    FROM user_chat_states s
    CROSS JOIN LATERAL (SELECT id, last_seq, revision FROM chats WHERE id = s.chat_id OFFSET 0) c
    WHERE s.user_id = $1 AND s.chat_id = $2""",
)

_HOLD_ONE = Prepared(
    "removal_hold_one",
    ("bigint", "bigint"),
    "SELECT 1 FROM user_chat_states WHERE user_id = $1 AND chat_id = $2 FOR NO KEY UPDATE",
)

_POSTPONE = Prepared(
    "removal_postpone",
    ("bigint", "bigint"),
    """
    INSERT INTO unread_removals (chat_id, seq, exempt_user_ids)
    SELECT chat_id, seq, array_remove(ARRAY[sender_id], NULL) FROM messages
    WHERE chat_id = $1 AND seq = $2 AND message_type <> 'service'
    RETURNING seq""",
)

# Whoever moves removals on holds them, so that no two do it at once. Those that are furthest on come first, and what
# has come as far goes with them: otherwise deletions that keep coming would keep any from being done with.
_TAKE = Prepared(
    "removal_take",
    ("bigint", "integer"),
    """
    SELECT seq, passed_user_id FROM unread_removals
    WHERE chat_id = $1 ORDER BY passed_user_id DESC, seq LIMIT $2
    FOR UPDATE SKIP LOCKED""",
)

_PART = Prepared(
    "removal_part",
    ("bigint", "bigint", "integer"),
    """
    SELECT max(user_id), count(*) FROM (
      SELECT user_id FROM chat_members
      WHERE (chat_id, user_id) > ($1, $2) AND (chat_id, user_id) < ($1 + 1, 0) AND left_at IS NULL
      ORDER BY chat_id, user_id LIMIT $3) part""",
)

_PASS = text("""
    UPDATE unread_removals SET passed_user_id = :user_id
    WHERE chat_id = :chat_id AND seq = ANY (CAST(:seqs AS bigint[]))""")
_DONE = text("DELETE FROM unread_removals WHERE chat_id = :chat_id AND seq = ANY (CAST(:seqs AS bigint[]))")

# From one chat to the next along the key.
_CHATS = text("""
    WITH RECURSIVE chat AS (
      (SELECT chat_id FROM unread_removals ORDER BY chat_id LIMIT 1)
      UNION ALL
      SELECT n.chat_id FROM chat CROSS JOIN LATERAL (
        SELECT chat_id FROM unread_removals WHERE chat_id > chat.chat_id ORDER BY chat_id LIMIT 1) n)
    SELECT chat_id FROM chat LIMIT :limit""")

_PAST_ALL = 2**63 - 1


def take_out(
    unit: UnitOfWork, chat_id: int, seqs: Sequence[int], after_user_id: int = 0, up_to_user_id: int = _PAST_ALL
) -> list[Unread]:
    """Takes deleted messages out of the counts that hold them, of present members with an id in (after, up to].

    Gives their exact counts; removals that waited for these members must have been moved on before.
    """
    users = [row[0] for row in _LOCK.rows(unit.connection, chat_id, after_user_id, up_to_user_id, max(seqs))]
    rows = _TAKE_OUT.rows(unit.connection, chat_id, users, list(seqs)) if users else []
    return [Unread(*row) for row in rows]


def held_count(unit: UnitOfWork, user_id: int, chat_id: int) -> list[Unread]:
    """A person's exact count in a chat, and holds it until the end of the unit of work."""
    _HOLD_ONE.rows(unit.connection, user_id, chat_id)
    return counts_of_one(unit, user_id, chat_id)


def counts_of_one(unit: UnitOfWork, user_id: int, chat_id: int) -> list[Unread]:
    """A person's exact count in a chat, whose state the unit of work holds."""
    return [Unread(*row) for row in _OF_ONE.rows(unit.connection, user_id, chat_id)]


def postpone(unit: UnitOfWork, chat_id: int, seq: int) -> None:
    """Notes that a message is to be taken out of the counts later; readers leave it out from the commit on."""
    _POSTPONE.rows(unit.connection, chat_id, seq)


def take(unit: UnitOfWork, chat_id: int, limit: int) -> Waiting | None:
    """Holds those of a chat's removals that are furthest back; None where there are none, or others hold them."""
    rows = _TAKE.rows(unit.connection, chat_id, limit)
    if not rows:
        return None
    passed_user_id = rows[0][1]
    return Waiting(passed_user_id, [seq for seq, passed in rows if passed == passed_user_id])


def end_of_part(unit: UnitOfWork, chat_id: int, after_user_id: int, limit: int) -> int | None:
    """The last id of the next `limit` members of a chat; None where there are fewer."""
    row = _PART.row(unit.connection, chat_id, after_user_id, limit)
    return None if row is None or row[1] < limit else int(row[0])


def move_on(unit: UnitOfWork, chat_id: int, seqs: Sequence[int], passed_user_id: int | None) -> None:
    """Notes up to which person held removals are done; None: all of them, and they are gone."""
    parameters = {"chat_id": chat_id, "seqs": list(seqs)}
    if passed_user_id is None:
        unit.execute(_DONE, parameters)
    else:
        unit.execute(_PASS, {**parameters, "user_id": passed_user_id})


def chats(unit: UnitOfWork, limit: int) -> list[int]:
    """Chats where deleted messages are still in counts, by id."""
    return list(unit.execute(_CHATS, {"limit": limit}).scalars())

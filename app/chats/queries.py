"""Every SQL statement about chats, their members and what members have read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.profile import ProfileRow, profile_columns
from app.chats import message
from app.infra.db import Prepared, UnitOfWork

Row = tuple[Any, ...]

# What a member has not read: counted by the fan-out up to counted_seq, and what is newer counted on the spot.
_UNREAD = """
  s.unread_count + CASE WHEN c.last_seq <= s.counted_seq THEN 0 ELSE (
    SELECT count(*) FROM messages n
    WHERE n.chat_id = c.id AND n.seq > GREATEST(s.counted_seq, s.last_read_seq) AND n.seq <= c.last_seq
      AND n.sender_id IS DISTINCT FROM s.user_id AND n.message_type <> 'service' AND n.deleted_at IS NULL) END"""

_ACTIVITY = "GREATEST(c.last_message_id, message_id_at(c.created_at))"

CHAT_COLUMN_COUNT = 21
PEER_COLUMN_COUNT = len(ProfileRow._fields)

CHAT_COLUMNS = f"""
  c.id, c.type, c.name, c.username, c.description, c.created_by, c.created_at, c.updated_at, c.member_count,
  c.last_seq, m.role, ({_UNREAD})::bigint, s.is_pinned, s.is_muted, s.muted_until, s.last_read_message_id,
  s.last_read_seq, GREATEST(c.revision, m.revision, s.revision), {_ACTIVITY}, m.user_id, c.members_revision,
  p.*,
  {message.columns("l")}"""

# OFFSET 0 keeps each look-up a look-up by key, whatever the planner thinks of the tables' sizes.
CHAT_JOINS = f"""
  LEFT JOIN LATERAL (
    SELECT {profile_columns("u", "m.user_id")}
    FROM chat_members o JOIN users u ON u.id = o.user_id
    WHERE c.type = 'direct' AND o.chat_id = c.id AND (o.user_id <> m.user_id OR c.member_count = 1)
    OFFSET 0) p ON true
  LEFT JOIN LATERAL (
    SELECT * FROM messages x WHERE x.id = c.last_message_id AND x.seq > s.cleared_seq AND x.deleted_at IS NULL
      AND NOT coalesce(m.user_id = ANY (x.deleted_for_users), false)
    OFFSET 0) l ON true"""

MY_CHATS = """
  FROM chat_members m
  JOIN chats c ON c.id = m.chat_id
  JOIN user_chat_states s ON s.user_id = m.user_id AND s.chat_id = m.chat_id"""

_LIST = Prepared(
    "chat_list",
    ("bigint", "text", "boolean", "boolean", "bigint", "bigint", "integer"),
    f"""
    WITH page AS (
      SELECT m.chat_id, s.is_pinned, {_ACTIVITY} AS activity
      {MY_CHATS}
      WHERE m.user_id = $1 AND m.left_at IS NULL AND (NOT s.hidden OR c.last_seq > s.cleared_seq)
        AND ($2 IS NULL OR c.type = $2)
        AND CASE WHEN $3 THEN ({_UNREAD}) > 0 ELSE true END
        AND ($4 IS NULL OR (s.is_pinned, {_ACTIVITY}, c.id) < ($4, $5, $6))
      ORDER BY s.is_pinned DESC, activity DESC, m.chat_id DESC
      LIMIT $7
    )
    SELECT {CHAT_COLUMNS}
    FROM page JOIN chat_members m ON m.chat_id = page.chat_id AND m.user_id = $1
    JOIN chats c ON c.id = page.chat_id
    JOIN user_chat_states s ON s.user_id = $1 AND s.chat_id = page.chat_id
    {CHAT_JOINS}
    ORDER BY page.is_pinned DESC, page.activity DESC, page.chat_id DESC""",
)

_VIEWS = Prepared(
    "chat_views",
    ("bigint", "bigint[]"),
    f"""
    SELECT {CHAT_COLUMNS}
    {MY_CHATS}
    {CHAT_JOINS}
    WHERE m.chat_id = $1 AND m.user_id = ANY ($2) AND m.left_at IS NULL
    ORDER BY m.user_id""",
)


class ListPosition(NamedTuple):
    """Where a page of the chat list begins: after the chat with these values."""

    is_pinned: bool
    activity: int
    chat_id: int


def list_chats(
    unit: UnitOfWork, user_id: int, chat_type: str | None, unread: bool, after: ListPosition | None, limit: int
) -> list[Row]:
    """One page of a person's chats, pinned first and then the latest active; one statement."""
    pinned, activity, chat_id = after or (None, None, None)
    return _LIST.rows(unit.connection, user_id, chat_type, unread, pinned, activity, chat_id, limit)


def views(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int]) -> list[Row]:
    """The chat as each of those members sees it; nothing for whoever is not in it."""
    return _VIEWS.rows(unit.connection, chat_id, list(user_ids))


_INSERT_CHAT = text("""
    INSERT INTO chats (type, name, description, direct_key, created_by, member_count, revision, members_revision)
    SELECT :type, :name, :description, :direct_key, :created_by, :member_count, r.revision, r.revision
    FROM (SELECT next_message_id() AS revision OFFSET 0) r
    ON CONFLICT (direct_key) DO NOTHING
    RETURNING id, revision""")

_INSERT_MEMBERS = text("""
    WITH people AS (SELECT unnest(CAST(:user_ids AS bigint[])) AS user_id ORDER BY 1),
    members AS (
      INSERT INTO chat_members (chat_id, user_id, role, revision)
      SELECT :chat_id, user_id, CASE WHEN user_id = :owner_id THEN 'owner' ELSE 'member' END, :revision FROM people)
    INSERT INTO user_chat_states (user_id, chat_id, hidden, revision)
    SELECT user_id, :chat_id, user_id = ANY (CAST(:hidden_for AS bigint[])), :revision FROM people""")


def insert_chat(unit: UnitOfWork, **columns: object) -> tuple[int, int] | None:
    """A new chat's id and revision; None where a direct chat of this `direct_key` exists already."""
    row = unit.execute(_INSERT_CHAT, columns).one_or_none()
    return None if row is None else (row.id, row.revision)


def insert_members(
    unit: UnitOfWork,
    chat_id: int,
    revision: int,
    user_ids: Sequence[int],
    owner_id: int | None,
    hidden_for: Sequence[int] = (),
) -> None:
    """Puts people into a new chat; it stays out of the lists of `hidden_for` until a message comes."""
    unit.execute(
        _INSERT_MEMBERS,
        {
            "chat_id": chat_id,
            "revision": revision,
            "user_ids": list(user_ids),
            "owner_id": owner_id,
            "hidden_for": list(hidden_for),
        },
    )


def find_direct_chat(unit: UnitOfWork, direct_key: str) -> int | None:
    """The id of the direct chat of a key such as `3:17`."""
    found: int | None = unit.execute(
        text("SELECT id FROM chats WHERE direct_key = :key"), {"key": direct_key}
    ).scalar_one_or_none()
    return found


def show(unit: UnitOfWork, user_id: int, chat_id: int) -> None:
    """Brings a hidden chat back into a person's list."""
    unit.execute(
        text(
            "UPDATE user_chat_states SET hidden = false, revision = next_message_id(revision)"
            " WHERE user_id = :user_id AND chat_id = :chat_id AND hidden"
        ),
        {"user_id": user_id, "chat_id": chat_id},
    )


def people_for_chat(unit: UnitOfWork, user_ids: Sequence[int], creator_id: int) -> dict[int, bool]:
    """Which of the people exist, and for each whether they have blocked the creator."""
    rows: Iterable[Any] = unit.execute(
        text("""
            SELECT u.id, EXISTS (SELECT FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = :creator_id)
            FROM users u WHERE u.id = ANY (CAST(:user_ids AS bigint[])) AND u.deleted_at IS NULL"""),
        {"user_ids": list(user_ids), "creator_id": creator_id},
    )
    return {row[0]: row[1] for row in rows}


class ReadTarget(NamedTuple):
    """A message to read up to, and what is needed to tell others."""

    seq: int
    message_id: int
    chat_type: str
    member_count: int
    members_revision: int


_READ_TARGET = Prepared(
    "read_target",
    ("bigint", "bigint", "bigint"),
    """
    SELECT CASE WHEN $3 IS NULL THEN c.last_seq ELSE x.seq END,
           CASE WHEN $3 IS NULL THEN c.last_message_id ELSE x.id END,
           c.type, c.member_count, c.members_revision
    FROM chat_members m JOIN chats c ON c.id = m.chat_id
    LEFT JOIN LATERAL (SELECT id, seq FROM messages WHERE id = $3 AND chat_id = m.chat_id OFFSET 0) x ON true
    WHERE m.chat_id = $2 AND m.user_id = $1 AND m.left_at IS NULL AND ($3 IS NULL OR x.id IS NOT NULL)""",
)

# Waiting for the lock inside the UPDATE itself would leave it with a snapshot from before, in which a message that was
# deleted (and taken out of the count) meanwhile would still be there to be subtracted again.
_LOCK_STATE = Prepared(
    "lock_state",
    ("bigint", "bigint"),
    "SELECT 1 FROM user_chat_states WHERE user_id = $1 AND chat_id = $2 FOR NO KEY UPDATE",
)

_MARK_READ = Prepared(
    "mark_read",
    ("bigint", "bigint", "bigint", "bigint"),
    """
    UPDATE user_chat_states s SET
      unread_count = s.unread_count - (
        SELECT count(*) FROM messages n
        WHERE n.chat_id = s.chat_id AND n.seq > s.last_read_seq AND n.seq <= LEAST($3, s.counted_seq)
          AND n.sender_id IS DISTINCT FROM s.user_id AND n.message_type <> 'service' AND n.deleted_at IS NULL),
      counted_seq = GREATEST(s.counted_seq, $3),
      last_read_seq = $3,
      last_read_message_id = $4,
      revision = next_message_id(s.revision)
    WHERE s.user_id = $1 AND s.chat_id = $2 AND s.last_read_seq < $3
    RETURNING now()""",
)

_READ_STATE = Prepared(
    "read_state",
    ("bigint", "bigint"),
    f"""
    SELECT NULLIF(s.last_read_message_id, 0), ({_UNREAD})::bigint
    FROM user_chat_states s JOIN chats c ON c.id = s.chat_id
    WHERE s.user_id = $1 AND s.chat_id = $2""",
)


def read_target(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int | None) -> ReadTarget | None:
    """The message to read up to (the last one for None); None where it or the membership is not there."""
    row = _READ_TARGET.row(unit.connection, user_id, chat_id, message_id)
    return None if row is None else ReadTarget(*row)


def mark_read(unit: UnitOfWork, user_id: int, chat_id: int, target: ReadTarget) -> Any | None:
    """Moves a member's read mark forward; when it was moved (UTC), or None where it was there already."""
    _LOCK_STATE.rows(unit.connection, user_id, chat_id)
    row = _MARK_READ.row(unit.connection, user_id, chat_id, target.seq, target.message_id)
    return None if row is None else row[0]


def read_state(unit: UnitOfWork, user_id: int, chat_id: int) -> tuple[int | None, int]:
    """The last message read and the number of unread ones."""
    row = _READ_STATE.row(unit.connection, user_id, chat_id)
    return (None, 0) if row is None else (row[0], row[1])


class Membership(NamedTuple):
    """A present member's place in a chat."""

    chat_type: str
    role: str
    members_revision: int


_MEMBERSHIP = Prepared(
    "membership",
    ("bigint", "bigint"),
    """
    SELECT c.type, m.role, c.members_revision FROM chat_members m JOIN chats c ON c.id = m.chat_id
    WHERE m.chat_id = $1 AND m.user_id = $2 AND m.left_at IS NULL""",
)


def membership(unit: UnitOfWork, chat_id: int, user_id: int) -> Membership | None:
    """A person's membership; None for strangers and former members."""
    row = _MEMBERSHIP.row(unit.connection, chat_id, user_id)
    return None if row is None else Membership(*row)


def rooms_of_user(unit: UnitOfWork, user_id: int) -> list[int]:
    """The ids of all chats that a person is in."""
    return list(
        unit.execute(
            text("SELECT chat_id FROM chat_members WHERE user_id = :user_id AND left_at IS NULL"),
            {"user_id": user_id},
        ).scalars()
    )


def present_members(unit: UnitOfWork, chat_id: int, user_ids: Sequence[int]) -> tuple[int, int, set[int]] | None:
    """The chat's members_revision, last seq, and which of the people are in it; None where the chat is gone."""
    row: Any = unit.execute(
        text("""
            SELECT c.members_revision, c.last_seq, ARRAY(
              SELECT m.user_id FROM chat_members m
              WHERE m.chat_id = c.id AND m.user_id = ANY (CAST(:user_ids AS bigint[])) AND m.left_at IS NULL)
            FROM chats c WHERE c.id = :chat_id"""),
        {"chat_id": chat_id, "user_ids": list(user_ids)},
    ).one_or_none()
    return None if row is None else (row[0], row[1], set(row[2]))

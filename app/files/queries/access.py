"""SQL of serving: whether somebody may have a file at this moment, and which object that is."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from app.files.file import Status
from app.infra.db import Prepared, UnitOfWork

# A message shows its file to whoever sees the message: present members, from where their history begins, unless they
# have cleared or deleted it. Each look-up is by key; LIMIT and OFFSET keep the planner from joining whole tables.
_CLEARED = """
    CROSS JOIN LATERAL (
      SELECT cleared_seq FROM user_chat_states WHERE user_id = $2 AND chat_id = r.chat_id LIMIT 1) s"""
_IS_SEEN = """
    r.seq > GREATEST(s.cleared_seq, m.history_from_seq)
      AND NOT coalesce((
        SELECT true FROM message_hides h
        WHERE h.user_id = $2 AND h.chat_id = r.chat_id AND h.message_id = r.message_id), false)"""
_OF_ITS_MESSAGES = f"""
    SELECT FROM message_files r
    CROSS JOIN LATERAL (
      SELECT history_from_seq FROM chat_members
      WHERE chat_id = r.chat_id AND user_id = $2 AND left_at IS NULL LIMIT 1) m
    {_CLEARED}
    WHERE r.file_id = $1 AND {_IS_SEEN}"""
_IN_A_CHAT_OF_THE_PERSON = f"""
    SELECT FROM chat_members m
    CROSS JOIN LATERAL (
      SELECT chat_id, message_id, seq FROM message_files WHERE file_id = $1 AND chat_id = m.chat_id OFFSET 0) r
    {_CLEARED}
    WHERE m.user_id = $2 AND m.left_at IS NULL AND {_IS_SEEN}"""
# What was forwarded to all the world is looked for in the chats of the person, which are fewer.
_MANY_MESSAGES = 100
_IN_A_MESSAGE = f"""
    CASE WHEN (SELECT count(*) FROM (SELECT FROM message_files WHERE file_id = $1 LIMIT {_MANY_MESSAGES}) AS shown)
        < {_MANY_MESSAGES}
      THEN EXISTS ({_OF_ITS_MESSAGES}) ELSE EXISTS ({_IN_A_CHAT_OF_THE_PERSON}) END"""

# Profiles and public chats are for everybody who is signed in, other chats for their members.
_AS_AVATAR_OF_A_PERSON = "SELECT FROM users WHERE avatar_file_id = $1 AND deleted_at IS NULL"
_AS_AVATAR_OF_A_CHAT = """
    SELECT FROM chats c
    WHERE c.avatar_file_id = $1 AND c.deleted_at IS NULL AND (c.username IS NOT NULL OR coalesce((
      SELECT true FROM chat_members WHERE chat_id = c.id AND user_id = $2 AND left_at IS NULL), false))"""

_MAY_SEE = f"""
    f.deleted_at IS NULL AND (f.owner_id = $2 OR {_IN_A_MESSAGE}
      OR EXISTS ({_AS_AVATAR_OF_A_PERSON}) OR EXISTS ({_AS_AVATAR_OF_A_CHAT}))"""

# By itself: with few files in its statistics PostgreSQL would look through all that are not deleted.
_FILE = "FROM (SELECT * FROM files WHERE id = $1 OFFSET 0) f"

# What others get is the copy without metadata, where there is one.
_SERVED = Prepared(
    "file_served",
    ("uuid", "bigint", "text"),
    f"""
    SELECT f.owner_id = $2, f.status, f.name, f.mime_type, o.variant, o.key, o.mime_type, o.size
    {_FILE}
    LEFT JOIN LATERAL (
      SELECT * FROM file_objects o
      WHERE o.file_id = f.id AND o.variant = ANY (
        CASE WHEN $3 IS NOT NULL THEN ARRAY[$3] WHEN f.owner_id = $2 THEN ARRAY['original']
          ELSE ARRAY['shared', 'original'] END)
      ORDER BY o.variant DESC LIMIT 1) o ON true
    WHERE {_MAY_SEE}""",
)

_MAY_SEE_FILE = Prepared("file_may_see", ("uuid", "bigint"), f"SELECT 1 {_FILE} WHERE {_MAY_SEE}")


class Served(NamedTuple):
    """A file that somebody may see, and the object that they get of it; no key where there is no such thumbnail."""

    is_owner: bool
    status: Status
    name: str
    file_type: str
    variant: str | None
    key: str | None
    mime_type: str | None
    size: int | None


def served(unit: UnitOfWork, user_id: int, file_id: UUID, thumbnail: str | None) -> Served | None:
    """The file, or a thumbnail, as somebody gets it; None for who may not see it."""
    row = _SERVED.row(unit.connection, str(file_id), user_id, thumbnail)
    return None if row is None else Served._make(row)


def may_see(unit: UnitOfWork, user_id: int, file_id: UUID) -> bool:
    """Whether somebody may see a file."""
    return _MAY_SEE_FILE.row(unit.connection, str(file_id), user_id) is not None

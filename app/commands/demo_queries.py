"""Every SQL statement of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from io import TextIOBase
from typing import NamedTuple, TextIO, cast

from sqlalchemy import text

from app.infra.db import UnitOfWork, raw_cursor

# A demo may take minutes; nobody waits for it.
_PATIENCE = text("""
    SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)""")

_EXISTS = text("""SELECT EXISTS (SELECT FROM chats WHERE settings @> '{"demo": true}')""")

_OLDEST_ID = text("SELECT message_id_at(CAST(:moment AS timestamptz))")

_INSERT_CHATS = text("""
    INSERT INTO chats (type, name, direct_key, created_by, created_at, updated_at, member_count, settings, revision,
                       members_revision)
    SELECT t.type, t.name, t.direct_key, t.created_by, r.created_at, r.created_at,
           t.member_count, '{"demo": true}', r.revision, r.revision
    FROM (SELECT next_message_id() AS revision, CAST(:created_at AS timestamptz) AS created_at OFFSET 0) r
    CROSS JOIN unnest(CAST(:types AS text[]), CAST(:names AS text[]), CAST(:direct_keys AS text[]),
      CAST(:owners AS bigint[]), CAST(:member_counts AS integer[])) WITH ORDINALITY
      AS t (type, name, direct_key, created_by, member_count, place)
    ORDER BY t.place
    ON CONFLICT (direct_key) DO NOTHING
    RETURNING id, direct_key, name""")

_INSERT_MEMBERS = text("""
    WITH people AS (
      SELECT t.chat_id, t.user_id, c.type, c.created_by, c.created_at, c.revision
      FROM unnest(CAST(:chat_ids AS bigint[]), CAST(:user_ids AS bigint[])) AS t (chat_id, user_id)
      JOIN chats c ON c.id = t.chat_id
    ), members AS (
      INSERT INTO chat_members (chat_id, user_id, role, joined_at, revision)
      SELECT chat_id, user_id, CASE WHEN type = 'group' AND user_id = created_by THEN 'owner' ELSE 'member' END,
             created_at, revision FROM people)
    INSERT INTO user_chat_states (user_id, chat_id, revision) SELECT user_id, chat_id, revision FROM people""")

_INSERT_CONTACTS = text("""
    INSERT INTO contacts (user_id, contact_id)
    SELECT * FROM unnest(CAST(:user_ids AS bigint[]), CAST(:contact_ids AS bigint[])) ON CONFLICT DO NOTHING""")

_COPY_MESSAGES = (
    "COPY messages (id, chat_id, seq, sender_id, text, reply_to_id, status, created_at, revision) FROM STDIN"
)

_FINISH_CHATS = text("""
    UPDATE chats c SET last_seq = t.last_seq, fanned_out_seq = t.last_seq, last_message_id = t.last_message_id
    FROM unnest(CAST(:chat_ids AS bigint[]), CAST(:last_seqs AS bigint[]), CAST(:last_ids AS bigint[]))
      AS t (chat_id, last_seq, last_message_id)
    WHERE c.id = t.chat_id""")

_FINISH_STATES = text("""
    UPDATE user_chat_states s SET
      counted_seq = c.last_seq, last_delivered_seq = c.last_seq, last_read_seq = t.read_seq,
      last_read_message_id = COALESCE(
        (SELECT x.id FROM messages x WHERE x.chat_id = s.chat_id AND x.seq = t.read_seq), 0),
      unread_count = (
        SELECT count(*) FROM messages x
        WHERE x.chat_id = s.chat_id AND x.seq > t.read_seq AND x.sender_id IS DISTINCT FROM s.user_id)
    FROM unnest(CAST(:chat_ids AS bigint[]), CAST(:user_ids AS bigint[]), CAST(:read_seqs AS bigint[]))
      AS t (chat_id, user_id, read_seq)
    JOIN chats c ON c.id = t.chat_id
    WHERE s.user_id = t.user_id AND s.chat_id = t.chat_id""")

_FINISH_STATUS = text("""
    UPDATE messages x SET status = 'delivered'
    FROM (
      SELECT chat_id, min(last_read_seq) AS read_by_all FROM user_chat_states
      WHERE chat_id = ANY (CAST(:chat_ids AS bigint[])) GROUP BY chat_id) r
    WHERE x.chat_id = r.chat_id AND x.seq > r.read_by_all AND NOT EXISTS (
      SELECT FROM user_chat_states s
      WHERE s.chat_id = x.chat_id AND s.user_id <> x.sender_id AND s.last_read_seq >= x.seq)""")


class NewChat(NamedTuple):
    """A chat to insert; `direct_key` of direct chats, `name` of groups."""

    type: str
    name: str | None
    direct_key: str | None
    owner_id: int
    member_ids: tuple[int, ...]


def be_patient(unit: UnitOfWork) -> None:
    """Takes the time-outs off this transaction."""
    unit.execute(_PATIENCE)


def exists(unit: UnitOfWork) -> bool:
    """Whether the database holds a demo already."""
    return bool(unit.execute(_EXISTS).scalar_one())


def oldest_id(unit: UnitOfWork, moment: str) -> int:
    """The least message id of a moment."""
    return int(unit.execute(_OLDEST_ID, {"moment": moment}).scalar_one())


def insert_chats(unit: UnitOfWork, chats: Sequence[NewChat], created_at: str) -> dict[str, int]:
    """Inserts chats; their ids by direct key or name, without direct chats that people had before."""
    rows = unit.execute(
        _INSERT_CHATS,
        {
            "types": [chat.type for chat in chats],
            "names": [chat.name for chat in chats],
            "direct_keys": [chat.direct_key for chat in chats],
            "owners": [chat.owner_id for chat in chats],
            "member_counts": [len(chat.member_ids) for chat in chats],
            "created_at": created_at,
        },
    )
    return {row.direct_key or row.name: row.id for row in rows}


def insert_members(unit: UnitOfWork, pairs: Sequence[tuple[int, int]]) -> None:
    """Puts people into chats, as pairs of chat and person."""
    unit.execute(_INSERT_MEMBERS, {"chat_ids": [pair[0] for pair in pairs], "user_ids": [pair[1] for pair in pairs]})


def insert_contacts(unit: UnitOfWork, pairs: Sequence[tuple[int, int]]) -> None:
    """Puts people into each other's address books."""
    unit.execute(
        _INSERT_CONTACTS, {"user_ids": [pair[0] for pair in pairs], "contact_ids": [pair[1] for pair in pairs]}
    )


def copy_messages(unit: UnitOfWork, lines: TextIOBase) -> None:
    """Copies messages from lines in COPY's text format."""
    with raw_cursor(unit.connection) as (cursor, _):
        cursor.copy_expert(_COPY_MESSAGES, cast(TextIO, lines), size=65536)


def finish_chats(unit: UnitOfWork, ends: dict[int, tuple[int, int]]) -> None:
    """Sets the last seq and message id of chats."""
    unit.execute(
        _FINISH_CHATS,
        {
            "chat_ids": list(ends),
            "last_seqs": [seq for seq, _ in ends.values()],
            "last_ids": [message_id for _, message_id in ends.values()],
        },
    )


def finish_states(unit: UnitOfWork, read: Sequence[tuple[int, int, int]]) -> None:
    """Sets how far people have read, as (chat, person, seq), and what is unread; then who has seen which message."""
    chat_ids = [row[0] for row in read]
    unit.execute(
        _FINISH_STATES,
        {"chat_ids": chat_ids, "user_ids": [row[1] for row in read], "read_seqs": [row[2] for row in read]},
    )
    unit.execute(_FINISH_STATUS, {"chat_ids": sorted(set(chat_ids))})

"""People, chats and messages made directly by SQL, for tests of what comes after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from app.auth.service import index_names
from app.infra.db import UnitOfWork, unit_of_work

_USERS = text("INSERT INTO users (first_name) SELECT 'Ada' FROM generate_series(1, :count) RETURNING id")
_CHAT = text("""
    INSERT INTO chats (type, name, created_by, member_count, revision)
    VALUES (:type, 'A chat', :owner, :count, next_message_id()) RETURNING id""")
_MEMBERS = text("""
    WITH members AS (
      INSERT INTO chat_members (chat_id, user_id, revision)
      SELECT :chat_id, unnest(CAST(:user_ids AS bigint[])), next_message_id())
    INSERT INTO user_chat_states (chat_id, user_id, revision)
    SELECT :chat_id, unnest(CAST(:user_ids AS bigint[])), next_message_id()""")
_LOCK = text("SELECT last_seq, last_message_id FROM chats WHERE id = :chat_id FOR UPDATE")
_MESSAGE = text("""
    INSERT INTO messages (id, chat_id, seq, sender_id, message_type, text, created_at, revision)
    SELECT id, :chat_id, :seq, :sender_id, :type, 'text', now(), id
    FROM (SELECT next_message_id(:previous) AS id OFFSET 0) drawn RETURNING id""")
_TOUCH = text("UPDATE chats SET last_seq = :seq, last_message_id = :id, revision = :id WHERE id = :chat_id")
_STATES = text("""
    SELECT user_id, unread_count, counted_seq, last_read_seq FROM user_chat_states
    WHERE chat_id = :chat_id ORDER BY user_id""")


NEWEST_ID = "(SELECT GREATEST(max(id), message_id_at(now())) FROM messages)"
"""SQL of an id that no message is past: `+ n` gives ids for thousands of rows, in their order.

Those that are drawn for rows of another chat may meet the ids of one that was written to faster than the clock goes.
"""


class MemberState(NamedTuple):
    """What one member has counted and read."""

    unread_count: int
    counted_seq: int
    last_read_seq: int


def make_users(count: int) -> list[int]:
    """The ids of new people."""
    with unit_of_work() as unit:
        user_ids = list(unit.execute(_USERS, {"count": count}).scalars())
        index_names(unit, user_ids)
    return user_ids


def make_chat(user_ids: Sequence[int], kind: str = "group") -> int:
    """The id of a new chat with these members."""
    with unit_of_work() as unit:
        chat_id: int = unit.execute(_CHAT, {"type": kind, "owner": user_ids[0], "count": len(user_ids)}).scalar_one()
        unit.execute(_MEMBERS, {"chat_id": chat_id, "user_ids": list(user_ids)})
    return chat_id


def insert_messages(
    unit: UnitOfWork, chat_id: int, sender_ids: Sequence[int | None], message_type: str = "text"
) -> list[int]:
    """Stores one message for each sender, as a send does but without telling anybody; their ids."""
    row = unit.execute(_LOCK, {"chat_id": chat_id}).one()
    seq, previous = row.last_seq, row.last_message_id
    ids: list[int] = []
    for sender_id in sender_ids:
        seq += 1
        message = {"chat_id": chat_id, "seq": seq, "sender_id": sender_id, "type": message_type, "previous": previous}
        previous = unit.execute(_MESSAGE, message).scalar_one()
        ids.append(previous)
    unit.execute(_TOUCH, {"chat_id": chat_id, "seq": seq, "id": previous})
    return ids


def send_messages(chat_id: int, sender_ids: Sequence[int | None], message_type: str = "text") -> list[int]:
    """As insert_messages, in a transaction of its own."""
    with unit_of_work() as unit:
        return insert_messages(unit, chat_id, sender_ids, message_type)


def member_states(chat_id: int) -> dict[int, MemberState]:
    """The states of a chat's members by user id."""
    with unit_of_work() as unit:
        return {
            row.user_id: MemberState(row.unread_count, row.counted_seq, row.last_read_seq)
            for row in unit.execute(_STATES, {"chat_id": chat_id})
        }


def scalar(statement: str, **parameters: object) -> object:
    """The one value of a SQL statement."""
    with unit_of_work() as unit:
        return unit.execute(text(statement), parameters).scalar()


def run(statement: str, **parameters: object) -> None:
    """Executes a SQL statement."""
    with unit_of_work() as unit:
        unit.execute(text(statement), parameters)


def rows(statement: str, **parameters: object) -> list[dict[str, Any]]:
    """The rows of a statement, by the names of their columns."""
    with unit_of_work() as unit:
        return [dict(row) for row in unit.execute(text(statement), parameters).mappings()]

"""What a person's client must hold: as a new device is answered, and as plain SQL says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from app.infra.db import reading
from app.infra.times import rfc3339
from tests.convergence.client import Client
from tests.people import Person

View = dict[int, dict[str, Any]]

# As plain as can be: nothing here knows of counters, only of marks and messages.
_CHATS = text("""
    SELECT c.id, m.role, s.is_pinned, s.is_muted, c.last_seq, c.member_count, s.last_read_seq,
      nullif(s.last_read_message_id, 0) AS last_read_message_id,
      GREATEST(s.cleared_seq, m.history_from_seq) AS cleared_seq,
      (SELECT count(*) FROM messages x WHERE x.chat_id = c.id AND x.seq > s.last_read_seq
         AND x.sender_id <> s.user_id AND x.message_type <> 'service' AND x.deleted_at IS NULL
         AND NOT EXISTS (
           SELECT FROM message_hides h WHERE h.user_id = s.user_id AND h.message_id = x.id)) AS unread_count
    FROM chat_members m JOIN chats c ON c.id = m.chat_id
    JOIN user_chat_states s ON s.chat_id = m.chat_id AND s.user_id = m.user_id
    WHERE m.user_id = :user_id AND m.left_at IS NULL AND c.deleted_at IS NULL
      AND (NOT s.hidden OR EXISTS (SELECT FROM messages x WHERE x.chat_id = c.id AND x.seq > s.cleared_seq))""")
_MESSAGES = text("""
    SELECT x.chat_id, x.id, x.text, x.status, x.edited_at, x.reply_to_id FROM messages x
    JOIN chat_members m ON m.chat_id = x.chat_id AND m.user_id = :user_id AND m.left_at IS NULL
    JOIN user_chat_states s ON s.chat_id = x.chat_id AND s.user_id = :user_id
    WHERE x.seq > s.cleared_seq AND x.seq > m.history_from_seq AND x.deleted_at IS NULL
      AND NOT EXISTS (SELECT FROM message_hides h WHERE h.user_id = :user_id AND h.message_id = x.id)""")

_FIELDS = (
    "role",
    "is_pinned",
    "is_muted",
    "last_seq",
    "member_count",
    "last_read_seq",
    "last_read_message_id",
    "cleared_seq",
    "unread_count",
)
_MESSAGE_FIELDS = ("text", "status", "reply_to_id", "edited_at")


def by_sql(person: Person) -> View:
    """The chats in the person's list, each with its own things and the visible messages by id."""
    with reading() as unit:
        chats = unit.execute(_CHATS, {"user_id": person.id}).mappings().all()
        messages = unit.execute(_MESSAGES, {"user_id": person.id}).all()
    view: View = {row["id"]: {name: row[name] for name in _FIELDS} | {"messages": {}} for row in chats}
    for row in messages:
        if row.chat_id in view:
            message = {"text": row.text, "status": row.status, "reply_to_id": row.reply_to_id}
            view[row.chat_id]["messages"][row.id] = message | {"edited_at": rfc3339(row.edited_at)}
    return view


def held(client: Client) -> View:
    """The same of what a client holds."""
    return {
        chat_id: {name: chat[name] for name in _FIELDS}
        | {"messages": {key: _compared(message) for key, message in client.messages[chat_id].items()}}
        for chat_id, chat in client.chats.items()
    }


def _compared(message: dict[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in _MESSAGE_FIELDS}


def without_statuses(view: View) -> View:
    """The same but for how far messages have come."""
    return {
        chat_id: chat | {"messages": {key: message | {"status": None} for key, message in chat["messages"].items()}}
        for chat_id, chat in view.items()
    }


def details(client: Client) -> View:
    """All that a client holds, field by field; of the other person in a direct chat, who comes and goes, the id."""
    return {
        chat_id: {name: value for name, value in chat.items() if name != "peer"}
        | {"peer_id": chat["peer"] and chat["peer"]["id"], "messages": client.messages[chat_id]}
        for chat_id, chat in client.chats.items()
    }


def difference(found: View, expected: View) -> dict[int, Any]:
    """What is not the same, by chat: fields as (found, expected), or the whole chat where one side has none."""
    wrong: dict[int, Any] = {}
    for chat_id in found.keys() | expected.keys():
        one, other = found.get(chat_id), expected.get(chat_id)
        if one is None or other is None:
            wrong[chat_id] = (one, other)
        elif one != other:
            wrong[chat_id] = {name: (one[name], other[name]) for name in one if one[name] != other[name]}
    return wrong

"""Chats as their members see them."""

from __future__ import annotations

from app.chats import message
from app.chats.queries import views
from app.chats.schemas import Chat, ChatQuery
from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.users.service import present_users
from app.web.links import avatar_link
from app.web.pagination import ItemPage, decode_cursor, encode_cursor

_PEER = slice(views.CHAT_COLUMN_COUNT, views.CHAT_COLUMN_COUNT + views.PEER_COLUMN_COUNT)


def list_chats(unit: UnitOfWork, user_id: int, query: ChatQuery) -> ItemPage[Chat]:
    """A page of the caller's chats: pinned first, then by last activity."""
    after = None
    if query.cursor is not None:
        pinned, activity, chat_id = decode_cursor(query.cursor, bool, int, int)
        after = views.ListPosition(bool(pinned), int(activity), int(chat_id))
    rows = views.list_chats(unit, user_id, query.type, query.unread, after, query.limit + 1)
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    return {
        "items": present_chats(page),
        "next_cursor": None if last is None else encode_cursor(last[12], last[18], last[0]),
    }


def get_chat(unit: UnitOfWork, user_id: int, chat_id: int) -> Chat:
    """One of the caller's chats; raises NotFound also for chats that the caller is not in."""
    found = present_chats(views.of_members(unit, chat_id, [user_id]))
    if not found:
        raise NotFound("There is no such chat, or you are not in it.")
    return found[0]


def present_chats(rows: list[views.Row]) -> list[Chat]:
    """Chats of rows of CHAT_COLUMNS; the peers' presence is asked for all at once."""
    peers = iter(present_users([row[_PEER] for row in rows if row[_PEER.start] is not None]))
    return [_chat(row, next(peers) if row[_PEER.start] is not None else None) for row in rows]


def _chat(row: views.Row, peer: object) -> Chat:
    last = row[_PEER.stop :]
    return {
        "id": row[0],
        "type": row[1],
        "name": row[2],
        "username": row[3],
        "description": row[4],
        "avatar_url": avatar_link(row[23]),
        "created_by": row[5],
        "created_at": rfc3339(row[6]),
        "updated_at": rfc3339(row[7]),
        "member_count": row[8],
        "last_seq": row[9],
        "last_message": None if last[0] is None else message.present(last),
        "peer": peer,  # type: ignore[typeddict-item]
        "role": row[10],
        "unread_count": row[11],
        "is_pinned": row[12],
        "is_muted": row[13],
        "muted_until": rfc3339(row[14]),
        "last_read_message_id": row[15] or None,
        "last_read_seq": row[16],
        "cleared_seq": row[21],
        "revision": row[17],
    }

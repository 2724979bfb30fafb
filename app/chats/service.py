"""The rules of chats: who may do what, and what follows from it."""

from __future__ import annotations

from app.chats import events, message, queries
from app.chats.schemas import Chat, ChatQuery, NewChat, ReadState
from app.errors import FieldError, Forbidden, NotFound, ValidationFailed
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.users.service import present_users
from app.web.pagination import ItemPage, decode_cursor, encode_cursor

# Larger groups do not tell who has read what, as in Telegram.
LARGEST_GROUP_WITH_RECEIPTS = 200

_PEER = slice(queries.CHAT_COLUMN_COUNT, queries.CHAT_COLUMN_COUNT + queries.PEER_COLUMN_COUNT)


def list_chats(unit: UnitOfWork, user_id: int, query: ChatQuery) -> ItemPage[Chat]:
    """A page of the caller's chats: pinned first, then by last activity."""
    after = None
    if query.cursor is not None:
        pinned, activity, chat_id = decode_cursor(query.cursor, bool, int, int)
        after = queries.ListPosition(bool(pinned), int(activity), int(chat_id))
    rows = queries.list_chats(unit, user_id, query.type, query.unread, after, query.limit + 1)
    page = rows[: query.limit]
    last = page[-1] if len(rows) > query.limit else None
    return {
        "items": present_chats(page),
        "next_cursor": None if last is None else encode_cursor(last[12], last[18], last[0]),
    }


def get_chat(unit: UnitOfWork, user_id: int, chat_id: int) -> Chat:
    """One of the caller's chats; raises NotFound also for chats that the caller is not in."""
    found = present_chats(queries.views(unit, chat_id, [user_id]))
    if not found:
        raise NotFound("There is no such chat, or you are not in it.")
    return found[0]


def create_chat(unit: UnitOfWork, user_id: int, new: NewChat) -> tuple[Chat, bool]:
    """Creates a group or channel, or gets or creates a direct chat; tells whether it is new.

    Raises NotFound (unknown person), ValidationFailed (unknown members) or Forbidden (blocked by a member).
    """
    if new.type == "direct":
        assert new.user_id is not None
        return _direct_chat(unit, user_id, new.user_id)
    return _group(unit, user_id, new), True


def _direct_chat(unit: UnitOfWork, user_id: int, peer_id: int) -> tuple[Chat, bool]:
    if peer_id not in queries.people_for_chat(unit, [peer_id], user_id):
        raise NotFound("There is no such person.")
    people = sorted({user_id, peer_id})
    direct_key = f"{people[0]}:{people[-1]}"
    created = queries.insert_chat(
        unit,
        type="direct",
        name=None,
        description=None,
        direct_key=direct_key,
        created_by=user_id,
        member_count=len(people),
    )
    if created is None:
        chat_id = queries.find_direct_chat(unit, direct_key)
        assert chat_id is not None
        queries.show(unit, user_id, chat_id)
        return get_chat(unit, user_id, chat_id), False
    chat_id, revision = created
    # As in Telegram, the other person's list shows the chat with its first message, not when somebody opens it.
    queries.insert_members(unit, chat_id, revision, people, None, hidden_for=[p for p in people if p != user_id])
    _announce(unit, chat_id, people)
    return get_chat(unit, user_id, chat_id), True


def _group(unit: UnitOfWork, user_id: int, new: NewChat) -> Chat:
    people = sorted({user_id, *new.member_ids})
    known = queries.people_for_chat(unit, people, user_id)
    missing: list[FieldError] = [
        {"field": "member_ids", "message": f"no such person: {person}"} for person in people if person not in known
    ]
    if missing:
        raise ValidationFailed(errors=missing)
    if any(known.values()):
        raise Forbidden("One of the members does not let you add them.")
    created = queries.insert_chat(
        unit,
        type=new.type,
        name=new.name,
        description=new.description,
        direct_key=None,
        created_by=user_id,
        member_count=len(people),
    )
    assert created is not None
    chat_id, revision = created
    queries.insert_members(unit, chat_id, revision, people, user_id)
    _announce(unit, chat_id, people)
    return get_chat(unit, user_id, chat_id)


def _announce(unit: UnitOfWork, chat_id: int, user_ids: list[int]) -> None:
    rows = queries.views(unit, chat_id, user_ids)
    events.chat_joined(unit, chat_id, [(row[19], chat) for row, chat in zip(rows, present_chats(rows), strict=True)])


def mark_read(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int | None) -> ReadState:
    """Moves the caller's read mark up to a message, or to the newest; never back. Raises NotFound."""
    target = queries.read_target(unit, user_id, chat_id, message_id)
    if target is None:
        raise NotFound("There is no such message in a chat of yours.")
    read_at = queries.mark_read(unit, user_id, chat_id, target)
    last_read, unread = queries.read_state(unit, user_id, chat_id)
    if read_at is not None:
        events.unread_changed(unit, user_id, chat_id, unread)
        if target.chat_type != "channel" and target.member_count <= LARGEST_GROUP_WITH_RECEIPTS:
            events.messages_read(unit, chat_id, target.members_revision, user_id, target.message_id, rfc3339(read_at))
    return {"last_read_message_id": last_read, "unread_count": unread}


def membership(unit: UnitOfWork, chat_id: int, user_id: int) -> queries.Membership:
    """The caller's membership; raises NotFound for strangers and former members."""
    found = queries.membership(unit, chat_id, user_id)
    if found is None:
        raise NotFound("There is no such chat, or you are not in it.")
    return found


def rooms_of_user(unit: UnitOfWork, user_id: int) -> list[int]:
    """The ids of all chats whose events a person receives."""
    return queries.rooms_of_user(unit, user_id)


def present_members(unit: UnitOfWork, chat_id: int, user_ids: list[int]) -> tuple[int, int, set[int]] | None:
    """The chat's members_revision and last seq, and which of the people are in it; None where it is gone."""
    return queries.present_members(unit, chat_id, user_ids)


def present_chats(rows: list[queries.Row]) -> list[Chat]:
    """Chats of rows of CHAT_COLUMNS; the peers' presence is asked for all at once."""
    peers = iter(present_users([row[_PEER] for row in rows if row[_PEER.start] is not None]))
    return [_chat(row, next(peers) if row[_PEER.start] is not None else None) for row in rows]


def _chat(row: queries.Row, peer: object) -> Chat:
    last = row[_PEER.stop :]
    return {
        "id": row[0],
        "type": row[1],
        "name": row[2],
        "username": row[3],
        "description": row[4],
        "avatar_url": None,
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
        "revision": row[17],
    }

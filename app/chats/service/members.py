"""Who is in a group or channel: listed, added, joining."""

from __future__ import annotations

from collections.abc import Sequence

from app.chats import events
from app.chats.locking import LockedChat, lock_chat, lock_chat_to_join, next_revision, post_notice
from app.chats.queries import blocks
from app.chats.queries import members as queries
from app.chats.schemas import Chat, Member, MemberQuery
from app.chats.service.membership import membership
from app.chats.service.telling import tell_of_members
from app.chats.service.views import get_chat
from app.errors import Conflict, FieldError, Forbidden, ValidationFailed
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.users.service import present_users
from app.web.pagination import ItemPage, decode_cursor, encode_cursor
from config import settings


def list_members(unit: UnitOfWork, user_id: int, chat_id: int, query: MemberQuery) -> ItemPage[Member]:
    """A page of members: the owner, admins, then the others by id.

    Raises NotFound, or Forbidden for who is neither owner nor admin of a channel.
    """
    place = queries.Place()
    if query.cursor is not None:
        rank, last_id = decode_cursor(query.cursor, int, int)
        if not 0 <= int(rank) <= 2:
            raise ValidationFailed(errors=[{"field": "cursor", "message": "not a cursor of this list"}])
        place = queries.Place(int(rank), int(last_id))
    own = membership(unit, chat_id, user_id)
    if own.chat_type == "channel" and own.role == "member":
        raise Forbidden("Only the owner and admins see who is in a channel.")
    rows = queries.page(unit, chat_id, user_id, place, query.limit + 1)
    page = rows[: query.limit]
    people = present_users([row.person for row in page])
    return {
        "items": [
            {"user": person, "role": row.role, "joined_at": rfc3339(row.joined_at)}  # type: ignore[typeddict-item]
            for row, person in zip(page, people, strict=True)
        ],
        "next_cursor": encode_cursor(page[-1].rank, page[-1].person.id) if len(rows) > query.limit else None,
    }


def add_members(unit: UnitOfWork, user_id: int, chat_id: int, user_ids: Sequence[int]) -> Chat:
    """Adds people to a group (as any member) or channel (as its owner or an admin); those who are in it stay.

    Raises NotFound, Forbidden (also for people who blocked the caller or were removed), ValidationFailed (unknown
    people) or Conflict (direct chats, full groups).
    """
    # Who may not add anybody holds nobody's row; the row of the chat, which comes after these, decides again.
    own = membership(unit, chat_id, user_id)
    _refuse_adding(own.chat_type, own.role)
    wanted = sorted(set(user_ids))
    blocks.hold_blocks(unit, wanted)
    chat = lock_chat(unit, chat_id, user_id)
    _refuse_adding(chat.type, chat.role)
    found = queries.candidates(unit, chat_id, user_id, wanted)
    refuse_unknown("user_ids", wanted, {person.user_id for person in found})
    new = [person for person in found if not person.is_member]
    if any(person.blocks_adder for person in new):
        raise Forbidden("One of them does not let you add them.")
    if chat.role == "member" and any(person.is_banned for person in new):
        raise Forbidden("One of them was removed: only the owner and admins may bring them back.")
    if new:
        joining = [person.user_id for person in new]
        _admit(unit, chat, user_id, joining, "members_added", {"user_ids": joining})
    return get_chat(unit, user_id, chat_id)


def join(unit: UnitOfWork, user_id: int, chat_id: int) -> Chat:
    """Puts the caller into a public group or channel; who is in the chat stays.

    Raises NotFound (also for private chats), Forbidden (removed before) or Conflict (direct chats, full groups).
    """
    chat, is_member = lock_chat_to_join(unit, chat_id, user_id)
    refuse_direct(chat.type)
    if not is_member:
        _admit(unit, chat, user_id, [user_id], "member_joined", {"user_id": user_id})
    return get_chat(unit, user_id, chat_id)


def _refuse_adding(chat_type: str, role: str) -> None:
    """Raises Conflict in direct chats, or Forbidden for who may not add people to a channel."""
    refuse_direct(chat_type)
    if chat_type == "channel" and role == "member":
        raise Forbidden("Only the owner and admins add people to a channel.")


def refuse_direct(chat_type: str) -> None:
    """Raises Conflict for a direct chat, whose two people stay the same."""
    if chat_type == "direct":
        raise Conflict("A direct chat stays between its two people.")


def refuse_unknown(field: str, user_ids: Sequence[int], known: set[int]) -> None:
    """Raises ValidationFailed for people who do not exist."""
    missing: list[FieldError] = [
        {"field": field, "message": f"no such person: {user_id}"} for user_id in user_ids if user_id not in known
    ]
    if missing:
        raise ValidationFailed(errors=missing)


def refuse_crowd(chat_type: str, member_count: int) -> None:
    """Raises Conflict for a group of more members than there may be; channels have no bound."""
    if chat_type == "group" and member_count > settings().max_group_members:
        raise Conflict(f"A group has at most {settings().max_group_members} members.")


def _admit(
    unit: UnitOfWork, chat: LockedChat, actor_id: int, user_ids: list[int], action: str, fields: dict[str, object]
) -> None:
    member_count = chat.member_count + len(user_ids)
    refuse_crowd(chat.type, member_count)
    revision = next_revision(unit, chat, members_changed=True)
    queries.admit(unit, chat.id, user_ids, revision)
    events.members_updated(unit, chat.id, chat.type, revision, dict.fromkeys(user_ids, "member"))
    if chat.type == "group":
        post_notice(unit, chat, actor_id, action, **fields)
    tell_of_members(unit, chat.id, member_count, joined=set(user_ids))

"""Making chats."""

from __future__ import annotations

from app.chats.queries import blocks, creation
from app.chats.schemas import Chat, NewChat
from app.chats.service.members import refuse_crowd, refuse_unknown
from app.chats.service.telling import tell
from app.chats.service.views import get_chat
from app.errors import Forbidden, NotFound
from app.infra.db import UnitOfWork


def create_chat(unit: UnitOfWork, user_id: int, new: NewChat) -> tuple[Chat, bool]:
    """Creates a group or channel, or gets or creates a direct chat; tells whether it is new.

    Raises NotFound (unknown person), ValidationFailed (unknown members), Forbidden (blocked by a member) or Conflict
    (too many).
    """
    if new.type == "direct":
        assert new.user_id is not None
        return _direct_chat(unit, user_id, new.user_id)
    return _group(unit, user_id, new), True


def _direct_chat(unit: UnitOfWork, user_id: int, peer_id: int) -> tuple[Chat, bool]:
    if peer_id not in creation.people_for_chat(unit, [peer_id], user_id):
        raise NotFound("There is no such person.")
    people = sorted({user_id, peer_id})
    direct_key = f"{people[0]}:{people[-1]}"
    created = creation.insert_chat(
        unit,
        type="direct",
        name=None,
        description=None,
        direct_key=direct_key,
        created_by=user_id,
        member_count=len(people),
    )
    if created is None:
        chat_id = creation.find_direct_chat(unit, direct_key)
        assert chat_id is not None
        if creation.show(unit, user_id, chat_id):
            tell(unit, chat_id, [user_id])
        return get_chat(unit, user_id, chat_id), False
    chat_id, revision = created
    # Who blocks the other in this moment looks for the chat afterwards, and finds it.
    blocks.hold_blocks(unit, people)
    # As in Telegram, the other person's list shows the chat with its first message, not when somebody opens it.
    creation.insert_members(unit, chat_id, revision, people, None, hidden_for=[p for p in people if p != user_id])
    tell(unit, chat_id, people, joined=people)
    return get_chat(unit, user_id, chat_id), True


def _group(unit: UnitOfWork, user_id: int, new: NewChat) -> Chat:
    people = sorted({user_id, *new.member_ids})
    blocks.hold_blocks(unit, new.member_ids)
    known = creation.people_for_chat(unit, people, user_id)
    refuse_unknown("member_ids", people, set(known))
    refuse_crowd(new.type, len(people))
    if any(known.values()):
        raise Forbidden("One of the members does not let you add them.")
    created = creation.insert_chat(
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
    creation.insert_members(unit, chat_id, revision, people, user_id)
    tell(unit, chat_id, people, joined=people)
    return get_chat(unit, user_id, chat_id)

"""The HTTP door of who is in a chat."""

from __future__ import annotations

from flask import Blueprint

from app.chats import service
from app.chats.schemas import Chat, Member, MemberQuery, NewMembers, RoleChange
from app.errors import Conflict, Forbidden, NotFound, OwnerMustHandOver
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage

blueprint = Blueprint("members", __name__, url_prefix="/chats/<int:chat_id>")


@blueprint.get("/members")
@operation(answers=ItemPage[Member], raises=(Forbidden, NotFound))
def list_members(chat_id: int, query: MemberQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[Member]:
    """List who is in a chat.

    The owner first, then admins, then the others. Only the owner and admins see who is in a channel.
    """
    return service.list_members(unit, caller.user_id, chat_id, query)


@blueprint.post("/members")
@operation(answers=Chat, raises=(Conflict, Forbidden, NotFound))
def add_members(chat_id: int, body: NewMembers, caller: Caller, unit: UnitOfWork) -> Chat:
    """Add people to a group or channel.

    To a group any member may, to a channel its owner and admins. Who is in it already stays as they are. People who
    were removed come back only by the owner or an admin; people who block you, not by you. Answers the chat.
    """
    return service.add_members(unit, caller.user_id, chat_id, body.user_ids)


@blueprint.patch("/members/<int:user_id>")
@operation(answers=Member, raises=(Conflict, Forbidden, NotFound, OwnerMustHandOver))
def change_role(chat_id: int, user_id: int, body: RoleChange, caller: Caller, unit: UnitOfWork) -> Member:
    """Give a member a role.

    The owner gives every role; with `owner` the chat is handed over, and who was the owner becomes an admin. Admins
    make members admins, and may step back themselves.
    """
    return service.change_role(unit, caller.user_id, chat_id, user_id, body.role)


@blueprint.delete("/members/<int:user_id>")
@operation(raises=(Conflict, Forbidden, NotFound))
def remove_member(chat_id: int, user_id: int, caller: Caller, unit: UnitOfWork) -> None:
    """Remove somebody from a group or channel.

    The owner removes everybody else, admins remove members. Who was removed cannot join again, and comes back only by
    the owner or an admin. To go yourself, leave the chat.
    """
    service.remove_member(unit, caller.user_id, chat_id, user_id)


@blueprint.post("/join")
@operation(answers=Chat, raises=(Conflict, Forbidden, NotFound))
def join_chat(chat_id: int, caller: Caller, unit: UnitOfWork) -> Chat:
    """Join a public group or channel, one with a username; for who is in it, this does nothing."""
    return service.join(unit, caller.user_id, chat_id)


@blueprint.post("/leave")
@operation(raises=(Conflict, NotFound, OwnerMustHandOver))
def leave_chat(chat_id: int, caller: Caller, unit: UnitOfWork) -> None:
    """Leave a group or channel.

    The owner hands it over first, or leaves as the last one, which ends it.
    """
    service.leave(unit, caller.user_id, chat_id)

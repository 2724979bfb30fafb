"""The HTTP door of what the caller shares with a person."""

from __future__ import annotations

from flask import Blueprint

from app.chats.common import CommonChatQuery, list_common_chats
from app.chats.schemas import Chat
from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage

blueprint = Blueprint("common_chats", __name__, url_prefix="/users")


@blueprint.get("/<int:user_id>/chats")
@operation(answers=ItemPage[Chat], raises=(NotFound,))
def list_shared_chats(user_id: int, query: CommonChatQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[Chat]:
    """List the groups that you share with a person, newest first."""
    return list_common_chats(unit, caller.user_id, user_id, query)

"""Groups that two people share."""

from __future__ import annotations

from app.chats import common_queries
from app.chats.schemas import Chat
from app.chats.service import present_chats
from app.infra.db import UnitOfWork
from app.users.service import require_user
from app.web.input import Page
from app.web.pagination import ItemPage, decode_cursor, encode_cursor


class CommonChatQuery(Page):
    """Which of the shared groups to list."""


def list_common_chats(unit: UnitOfWork, viewer_id: int, user_id: int, query: CommonChatQuery) -> ItemPage[Chat]:
    """A page of the groups that the viewer shares with a person, the newest first; raises NotFound.

    Channels are left out: who is in one is known to its owner and admins only.
    """
    require_user(unit, user_id)
    before = None if query.cursor is None else int(decode_cursor(query.cursor, int)[0])
    rows = common_queries.list_common(unit, viewer_id, user_id, before, query.limit + 1)
    chats = present_chats(rows[: query.limit])
    return {
        "items": chats,
        "next_cursor": encode_cursor(chats[-1]["id"]) if len(rows) > query.limit else None,
    }

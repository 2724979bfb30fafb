"""The HTTP door of search."""

from __future__ import annotations

from flask import Blueprint

from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.search import service
from app.search.schemas import ChatSearch, FoundMessage, MessageSearch, PublicChat
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage

blueprint = Blueprint("search", __name__)


@blueprint.get("/messages/search")
@operation(answers=ItemPage[FoundMessage], raises=(NotFound,), action="searches")
def search_messages(query: MessageSearch, caller: Caller, unit: UnitOfWork) -> ItemPage[FoundMessage]:
    """Find messages in your chats, or in one of them, newest first.

    All words of `q` must be there, in any order and anywhere; case and accents do not count, in any script, and the
    last word may be the beginning of one. `"two words"` in quotation marks stand side by side; `#tags`, `@mentions`,
    numbers, addresses and emoji are words too. Of a longer question the first 16 words count, or in scripts without
    spaces 17 letters. `from:username` in `q`, or `from:me`, is the same as `sender_id`.
    Messages of `since` are in, of `until` not. Give `q` or one of the others beside `chat_id`; 60 searches a minute.

    `snippet.matches` are ranges of `snippet.text` in UTF-16 code units: in JavaScript
    `snippet.text.slice(offset, offset + length)`. All is plain text: escape it before it becomes HTML.
    A message is found a second or two after it was sent or edited. A page may hold fewer messages than `limit` while
    there is a `next_cursor`.
    """
    return service.search_messages(unit, caller.user_id, query)


@blueprint.get("/chats/search")
@operation(answers=ItemPage[PublicChat], action="searches")
def search_chats(query: ChatSearch, caller: Caller, unit: UnitOfWork) -> ItemPage[PublicChat]:
    """Find public groups and channels by the beginnings of the words of their names, or by their username.

    Every word must begin one of the name, or the username; case and accents do not count. Whose username it is exactly
    comes first, with or without `@`, then those with the most members. To get in: `POST /api/chats/ID/join`.
    """
    return service.search_chats(unit, caller.user_id, query)

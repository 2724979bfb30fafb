"""What each member sets for oneself: pinned, muted, cleared, out of the list."""

from __future__ import annotations

from datetime import datetime

from app.chats import events
from app.chats.locking import lock_chat
from app.chats.queries import members
from app.chats.queries import preferences as queries
from app.chats.schemas import Chat
from app.chats.service.membership import membership
from app.chats.service.telling import tell
from app.chats.service.views import get_chat
from app.errors import Conflict, Forbidden
from app.files.service.histories import hide_up_to
from app.infra.db import UnitOfWork
from config import settings


def pin_chat(unit: UnitOfWork, user_id: int, chat_id: int, pinned: bool) -> Chat:
    """Puts a chat at the top of the caller's list, or takes it from there; raises NotFound or Conflict (too many)."""
    membership(unit, chat_id, user_id)
    if pinned and queries.count_other_pinned(unit, user_id, chat_id) >= settings().max_pinned_chats:
        raise Conflict(f"At most {settings().max_pinned_chats} chats can be pinned.")
    return _own_change(unit, user_id, chat_id, queries.pin(unit, user_id, chat_id, pinned))


def mute_chat(unit: UnitOfWork, user_id: int, chat_id: int, muted: bool, until: datetime | None) -> Chat:
    """Mutes a chat for the caller, until a moment or for good, or ends that; raises NotFound."""
    membership(unit, chat_id, user_id)
    return _own_change(unit, user_id, chat_id, queries.mute(unit, user_id, chat_id, muted, until))


def _own_change(unit: UnitOfWork, user_id: int, chat_id: int, is_new: bool) -> Chat:
    if is_new:
        tell(unit, chat_id, [user_id])
    return get_chat(unit, user_id, chat_id)


def clear_history(unit: UnitOfWork, user_id: int, chat_id: int, for_everyone: bool) -> None:
    """Removes all messages up to now for the caller or, in a direct chat, for both; raises NotFound or Forbidden."""
    chat_type = membership(unit, chat_id, user_id).chat_type
    if for_everyone and chat_type != "direct":
        raise Forbidden("Only the history of a direct chat can be cleared for everyone.")
    if chat_type == "direct":
        # When both clear it at once, the second one sees what the first one has cleared.
        lock_chat(unit, chat_id, user_id)
    people = _people(unit, user_id, chat_id, for_everyone)
    queries.clear(unit, chat_id, people, hides=False)
    _hide_cleared_files(unit, chat_id, chat_type)
    tell(unit, chat_id, people)


def remove_direct_chat(unit: UnitOfWork, user_id: int, chat_id: int, for_everyone: bool) -> None:
    """Clears a direct chat and takes it out of the caller's list, or of both; it is back with the next message."""
    # Nothing changes in the chat until the commit, so the revision of its removal is past all that was seen of it.
    lock_chat(unit, chat_id, user_id)
    removed = queries.clear(unit, chat_id, _people(unit, user_id, chat_id, for_everyone), hides=True)
    _hide_cleared_files(unit, chat_id, "direct")
    events.chat_removed(unit, chat_id, removed)


def _hide_cleared_files(unit: UnitOfWork, chat_id: int, chat_type: str) -> None:
    """What both sides of a direct chat have cleared, together or each for oneself, shows no files any more."""
    if chat_type == "direct":
        hide_up_to(unit, chat_id, queries.cleared_by_all(unit, chat_id))


def _people(unit: UnitOfWork, user_id: int, chat_id: int, for_everyone: bool) -> list[int]:
    """Whose own things of a direct chat change."""
    return members.ids(unit, chat_id, 0, 2) if for_everyone else [user_id]

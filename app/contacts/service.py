"""The rules of contacts and blocks.

Whoever one has as a contact may see one's phone number. Whom one blocks can neither message nor add one, nor see when
one is there, nor in the direct chat what has arrived at one or was read; contacts stay as they are, in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.auth.profile import ProfileRow
from app.contacts import events, queries
from app.contacts.schemas import BlockQuery, ContactQuery, User
from app.errors import ValidationFailed
from app.infra import jobs, presence
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.users.service import get_user, present_users, require_user
from app.web.input import Page
from app.web.pagination import ItemPage, decode_cursor, encode_cursor

_BEFORE_ALL = queries.Position("", 0)


def list_contacts(unit: UnitOfWork, user_id: int, query: ContactQuery) -> ItemPage[User]:
    """A page of the caller's contacts, by name."""
    return _page(queries.list_contacts(unit, user_id, _after(query), query.limit + 1), query)


def list_blocked(unit: UnitOfWork, user_id: int, query: BlockQuery) -> ItemPage[User]:
    """A page of whom the caller has blocked, by name."""
    return _page(queries.list_blocked(unit, user_id, _after(query), query.limit + 1), query)


def _after(query: Page) -> queries.Position:
    if query.cursor is None:
        return _BEFORE_ALL
    name, person_id = decode_cursor(query.cursor, str, int)
    return queries.Position(str(name), int(person_id))


def _page(found: Sequence[tuple[ProfileRow, queries.Position]], query: Page) -> ItemPage[User]:
    """What a page shows of the people found, who are one more where there is a next one."""
    page = found[: query.limit]
    return {
        "items": present_users([row for row, _ in page]),
        "next_cursor": encode_cursor(*page[-1][1]) if len(found) > query.limit else None,
    }


def add_contact(unit: UnitOfWork, user_id: int, other_id: int) -> tuple[User, bool]:
    """Adds a contact and tells whether it is new; raises NotFound, or ValidationFailed for oneself."""
    _require_other(unit, user_id, other_id)
    is_new = queries.add_contact(unit, user_id, other_id)
    return get_user(unit, user_id, other_id), is_new


def remove_contact(unit: UnitOfWork, user_id: int, other_id: int) -> None:
    """Removes a contact, if it is one; raises NotFound, or ValidationFailed for oneself."""
    _require_other(unit, user_id, other_id)
    queries.remove_contact(unit, user_id, other_id)


def block(unit: UnitOfWork, user_id: int, other_id: int) -> None:
    """Blocks a person, who is shown nothing of the caller's presence any more; raises as `remove_contact` does.

    Once this has committed, nothing more of that person is stored in the direct chat of the two; a call between them
    ends.
    """
    _require_other(unit, user_id, other_id)
    queries.lock_presence(unit, user_id)
    if not queries.block(unit, user_id, other_id):
        return
    queries.lock_direct_chat(unit, user_id, other_id)
    jobs.enqueue(unit, jobs.END_BARRED, user_ids=[user_id])
    if queries.follows_presence(unit, other_id, user_id):
        events.presence_shown(unit, other_id, user_id, "offline", None)


def unblock(unit: UnitOfWork, user_id: int, other_id: int) -> None:
    """Ends a block, if there is one, and shows the caller's presence again; raises as `remove_contact` does.

    What the caller has read meanwhile becomes so for who wrote it.
    """
    _require_other(unit, user_id, other_id)
    last_seen_at = rfc3339(queries.lock_presence(unit, user_id))
    if not queries.unblock(unit, user_id, other_id):
        return
    chat_id = queries.queue_receipts(unit, user_id, other_id)
    if chat_id is not None:
        unit.after_commit(lambda: jobs.mark_for_receipts(chat_id))
    if queries.follows_presence(unit, other_id, user_id):
        status = presence.statuses([user_id])[user_id]
        events.presence_shown(unit, other_id, user_id, status, last_seen_at)


def _require_other(unit: UnitOfWork, user_id: int, other_id: int) -> None:
    if other_id == user_id:
        raise ValidationFailed(errors=[{"field": "user_id", "message": "must be somebody else"}])
    require_user(unit, other_id)

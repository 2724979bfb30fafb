"""The rules of catching up: everything that a client keeps, past a cursor, and never a row left out.

A cursor is (safe, position, is_snapshot). All rows up to `safe` were committed when the run of pages began; `position`
is how far its pages have come. Rows past `safe` are answered as well, but the cursor that ends a run goes back to it:
a transaction that was slow may still put a row between the two, and then it is the next run that finds it.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import structlog

from app.chats.changes import present_changes
from app.chats.message import Message, present, tombstone
from app.errors import Unavailable
from app.infra.db import UnitOfWork, reading
from app.sync import page_queries, queries
from app.sync.schemas import Changes
from app.web.input import LARGEST_ID
from app.web.pagination import decode_cursor, encode_cursor

LARGEST_PAGE = 500

log = structlog.get_logger(__name__)


class BlindSpots(NamedTuple):
    """Whether PostgreSQL notes what sessions do, and the roles whose sessions are hidden and may write."""

    is_tracked: bool
    writers: list[queries.UnseenWriter]


class Cursor(NamedTuple):
    """A place between changes; `is_snapshot` while the first pages, without messages, are read."""

    safe: int
    position: int
    is_snapshot: bool

    @property
    def text(self) -> str:
        """What clients are given."""
        return encode_cursor(*self)

    @property
    def removed_after(self) -> int:
        """Past which revision chats that went are named: up to it no device can have them that comes with this cursor.

        Who reads the snapshot has nothing to drop but what went after an earlier page of it.
        """
        if self.is_snapshot:
            return self.safe or LARGEST_ID
        return self.position


_BEGINNING = Cursor(0, 0, True)


def blind_spots(unit: UnitOfWork) -> BlindSpots:
    """What PostgreSQL hides from this process and cursors stand on."""
    return BlindSpots(queries.is_tracked(unit), queries.unseen_writers(unit))


def warn_of_blind_spots() -> None:
    """Writes a warning where rows may be left out of an answer; nothing where PostgreSQL cannot be asked."""
    with contextlib.suppress(Unavailable), reading() as unit:
        found = blind_spots(unit)
        if found.writers or not found.is_tracked:
            roles = [writer.name for writer in found.writers]
            log.warning("sync_blind", roles=roles, track_activities=found.is_tracked, advice="run doctor")


def current_cursor(unit: UnitOfWork) -> str:
    """A cursor of now: rows may come twice after it, and never not at all."""
    safe = queries.horizon(unit)
    return Cursor(safe, safe, False).text


def changes(unit: UnitOfWork, user_id: int, cursor_text: str | None) -> Changes:
    """A page of what the person may see that changed past the cursor; without one, of the first snapshot.

    Raises ValidationFailed for a cursor that is not ours.
    """
    cursor = _BEGINNING if cursor_text is None else _read(cursor_text)
    most_messages = 0 if cursor.is_snapshot else LARGEST_PAGE + 1
    page = page_queries.page(unit, user_id, cursor.position, most_messages, LARGEST_PAGE + 1, cursor.removed_after)
    if cursor.position == cursor.safe:
        cursor = cursor._replace(safe=max(page.horizon, cursor.safe))
    page_ends_at = LARGEST_ID
    if len(page.messages) > LARGEST_PAGE:
        page_ends_at = page.messages[LARGEST_PAGE - 1][page_queries.REVISION]
    chats = [chat for chat in page.chats if chat.revision <= page_ends_at]
    if len(chats) > LARGEST_PAGE:
        page_ends_at = chats[LARGEST_PAGE - 1].revision
    has_more = page_ends_at < LARGEST_ID
    next_cursor = cursor._replace(position=page_ends_at) if has_more else Cursor(cursor.safe, cursor.safe, False)
    changed = present_changes(chats[:LARGEST_PAGE])
    return {
        "chats": changed.chats,
        "messages": [_kept(row) for row in page.messages if row[page_queries.REVISION] <= page_ends_at],
        "removed_chat_ids": [removed["chat_id"] for removed in changed.removed],
        "removed_chats": changed.removed,
        "next_cursor": next_cursor.text,
        "has_more": has_more,
    }


def _kept(row: tuple[Any, ...]) -> Message:
    message = present(row)
    return tombstone(message) if row[page_queries.IS_DELETED_FOR_ME] else message


def _read(text: str) -> Cursor:
    safe, position, is_snapshot = decode_cursor(text, int, int, bool)
    return Cursor(int(safe), int(position), bool(is_snapshot))

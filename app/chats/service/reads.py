"""Read marks."""

from __future__ import annotations

from app.chats import events
from app.chats.queries import reads
from app.chats.schemas import ReadState
from app.chats.service.marks import Move, follow, tells_receipts
from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339


def mark_read(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int | None) -> ReadState:
    """Moves the caller's read mark up to a message, or to the newest; never back. Raises NotFound."""
    target = reads.read_target(unit, user_id, chat_id, message_id)
    if target is None:
        raise NotFound("There is no such message in a chat of yours.")
    moved = reads.mark_read(unit, user_id, chat_id, target)
    last_read, unread = reads.read_state(unit, user_id, chat_id)
    if moved is not None:
        events.unread_changed(unit, user_id, chat_id, unread)
        if tells_receipts(target.chat_type, target.member_count):
            read_at = rfc3339(moved.moved_at)
            events.messages_read(unit, chat_id, target.members_revision, user_id, target.message_id, read_at)
        move = Move(
            chat_id,
            target.chat_type,
            target.member_count,
            user_id,
            "read",
            moved.after_seq,
            target.seq,
            target.message_id,
            moved.is_queued,
        )
        follow(unit, move)
    return {"last_read_message_id": last_read, "unread_count": unread}

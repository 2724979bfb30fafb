"""Read marks."""

from __future__ import annotations

from app.chats import events
from app.chats.queries import reads
from app.chats.schemas import ReadReceipt, ReadState
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
    state = reads.read_state(unit, user_id, chat_id)
    if state is None:
        raise NotFound("There is no such message in a chat of yours.")
    last_read, last_read_seq, unread, revision = state
    if moved is not None:
        events.unread_changed(unit, user_id, chat_id, unread, revision)
        receipt: ReadReceipt = {
            "chat_id": chat_id,
            "user_id": user_id,
            "message_id": target.message_id,
            "seq": target.seq,
            "read_at": rfc3339(moved.moved_at),
        }
        is_told = tells_receipts(target.chat_type, target.member_count) and not target.blocks_author
        events.messages_read(unit, receipt, target.members_revision if is_told else None)
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
    return {"last_read_message_id": last_read, "last_read_seq": last_read_seq, "unread_count": unread}

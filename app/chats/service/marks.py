"""What follows when a member's mark of what has arrived, or was read, moves forward."""

from __future__ import annotations

from typing import NamedTuple

from app.chats import events
from app.chats.queries import deliveries, marks
from app.chats.queries.marks import LARGEST_GROUP_WITH_RECEIPTS
from app.chats.schemas import DeliveryStatus
from app.errors import NotFound
from app.infra import jobs
from app.infra.db import UnitOfWork


class Move(NamedTuple):
    """A mark that moved over the messages with seq in (after_seq, up_to_seq]; `message_id` is of the last of them."""

    chat_id: int
    chat_type: str
    member_count: int
    user_id: int
    status: DeliveryStatus
    after_seq: int
    up_to_seq: int
    message_id: int
    is_queued: bool


def tells_receipts(chat_type: str, member_count: int) -> bool:
    """Whether members of such a chat learn who has read what."""
    return chat_type != "channel" and member_count <= LARGEST_GROUP_WITH_RECEIPTS


def follow(unit: UnitOfWork, move: Move) -> None:
    """Tells the authors of the messages, and asks a worker to write down their new status."""
    if move.is_queued:
        unit.after_commit(lambda: jobs.mark_for_receipts(move.chat_id))
    if tells_receipts(move.chat_type, move.member_count):
        authors = marks.authors(
            unit, move.chat_id, move.user_id, move.after_seq, move.up_to_seq, message_id=move.message_id
        )
        events.status_changed(unit, move.chat_id, authors, move.status, move.user_id, move.message_id)


def mark_delivered(unit: UnitOfWork, user_id: int, chat_id: int, message_id: int) -> None:
    """Notes that everything up to a message has arrived at the caller; never moves back.

    Raises NotFound. In channels nothing is noted.
    """
    done = deliveries.mark_delivered(unit, user_id, chat_id, message_id)
    if done is None:
        raise NotFound("There is no such message in a chat of yours.")
    if done.after_seq is not None:
        move = Move(
            chat_id,
            done.chat_type,
            done.member_count,
            user_id,
            "delivered",
            done.after_seq,
            done.seq,
            message_id,
            done.is_queued,
        )
        follow(unit, move)

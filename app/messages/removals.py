"""Takes deleted messages out of unread counts: at once in small chats, by a worker in large ones.

Readers see the exact count at every moment: what waits for the worker is noted in the transaction that deletes, and
left out by whoever shows a count.
"""

from __future__ import annotations

from app.infra import jobs
from app.infra.db import UnitOfWork, unit_of_work
from app.messages import removal_queries, unread_events
from config import settings

# Deleted messages that one transaction takes out of the counts of a batch of members.
_MOST_AT_ONCE = 200


def remove(unit: UnitOfWork, chat_id: int, member_count: int, seq: int) -> None:
    """Takes a message out of the counts that hold it, and tells whose count moved; in a large chat a worker does.

    For whoever deletes a message for everyone: in the same unit of work, after the statement that sets its
    `deleted_at`, and only if that did delete it. `member_count` is the chat's; past a batch of the fan-out it is large.
    """
    if member_count <= settings().fanout_batch:
        unread_events.unread_changed(unit, removal_queries.take_out(unit, chat_id, [seq]))
        return
    removal_queries.postpone(unit, chat_id, seq)
    unit.after_commit(lambda: jobs.mark_for_fanout(chat_id))


def tell_one(unit: UnitOfWork, user_id: int, chat_id: int) -> None:
    """Tells a person, whose state the unit of work holds, the count after deleting something for oneself."""
    unread_events.unread_changed(unit, removal_queries.counts_of_one(unit, user_id, chat_id))


def work_off(chat_id: int) -> None:
    """Takes what waits out of the counts, for a batch of members at a time, each in a transaction of its own.

    Does nothing where another worker is at it.
    """
    while _work_off_part(chat_id):
        pass


def _work_off_part(chat_id: int) -> bool:
    with unit_of_work() as unit:
        unit.relax_durability()
        waiting = removal_queries.take(unit, chat_id, _MOST_AT_ONCE)
        if waiting is None:
            return False
        end = removal_queries.end_of_part(unit, chat_id, waiting.passed_user_id, settings().fanout_batch)
        part = (waiting.passed_user_id,) if end is None else (waiting.passed_user_id, end)
        # First, so that the counts that are told leave out no message twice.
        removal_queries.move_on(unit, chat_id, waiting.seqs, end)
        counts = removal_queries.take_out(unit, chat_id, waiting.seqs, *part)
        unread_events.unread_changed(unit, counts)
    return True

"""The files of histories that nobody sees any more: refused from the commit on, and let go of by a job.

Who may have a file follows from the messages that one sees, so nothing needs to be done for that. The rest grows with
the chat: it is done in batches, each a transaction, and what is left to do stands in the tables.
"""

from __future__ import annotations

import time

from app.files.queries import histories
from app.files.service.releasing import release
from app.infra import jobs
from app.infra.db import UnitOfWork, unit_of_work

# Messages of one transaction, which holds the rows of their files.
_BATCH = 200
# Seconds after which the rest is left to another job, so that others have their turn: the queue has one process.
_LONGEST_RUN = 3.0
_SWEPT = 500


def hide_up_to(unit: UnitOfWork, chat_id: int, seq: int) -> None:
    """For whoever ends a chat or clears it for all, with its row held: messages up to `seq` show no files now."""
    if histories.note(unit, chat_id, seq):
        jobs.enqueue(unit, jobs.RELEASE_HISTORY, chat_id=chat_id)


def release_history(chat_id: int) -> None:
    """Lets go of the files of a history, and removes those that nothing else shows; asks for another job at the end of
    its time.
    """
    deadline = time.monotonic() + _LONGEST_RUN
    while _release_some(chat_id):
        if time.monotonic() > deadline:
            with unit_of_work() as unit:
                jobs.enqueue(unit, jobs.RELEASE_HISTORY, chat_id=chat_id)
            return


def sweep_histories() -> int:
    """Asks for histories whose job was lost, or died; gives how many."""
    with unit_of_work() as unit:
        due = histories.take_due(unit, _SWEPT)
        for chat_id in due:
            jobs.enqueue(unit, jobs.RELEASE_HISTORY, chat_id=chat_id)
    return len(due)


def _release_some(chat_id: int) -> bool:
    """Sees to some messages of a history; False where there are none, or others hold what is left."""
    with unit_of_work() as unit:
        seq = histories.hold(unit, chat_id)
        if seq is None:
            return False
        taken = histories.take(unit, chat_id, seq, _BATCH)
        release(unit, list(set(taken)))
        return not histories.end(unit, chat_id, seq) and bool(taken)

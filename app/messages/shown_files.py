"""Messages that showed a file before anybody had looked at it: they get its kind, and their chats are told.

The file itself is written down already, so messages that come from then on have its kind. How far the others have been
told stands in `untold_files`, so this may die anywhere, and goes on there.
"""

from __future__ import annotations

import time
from functools import partial
from uuid import UUID

from app.chats.message import present
from app.infra import jobs
from app.infra.db import unit_of_work
from app.messages import events, queries, shown_file_queries

# Messages of one transaction, which holds the rows of their chats.
_BATCH = 50
# Seconds after which the rest is left to another job, so that others have their turn.
_LONGEST_RUN = 15.0
_SWEPT = 500


def tell_of_file(file_id: UUID) -> None:
    """Gives messages the kind of a file that was looked at, and a new revision, and tells their chats.

    Asks for another job at the end of its time.
    """
    deadline = time.monotonic() + _LONGEST_RUN
    while _tell_some(file_id):
        if time.monotonic() > deadline:
            with unit_of_work() as unit:
                jobs.enqueue(unit, jobs.TELL_OF_FILE, file_id=str(file_id))
            return


def sweep_untold() -> int:
    """Asks for files whose job was lost, or died; gives how many."""
    with unit_of_work() as unit:
        due = shown_file_queries.take_due(unit, _SWEPT)
        for file_id in due:
            jobs.enqueue(unit, jobs.TELL_OF_FILE, file_id=str(file_id))
    return len(due)


def _tell_some(file_id: UUID) -> bool:
    """Sees to some messages; False where there are none left, or somebody else is at it."""
    with unit_of_work() as unit:
        last = shown_file_queries.hold_untold(unit, file_id)
        if last is None:
            return False
        places = shown_file_queries.showing(unit, file_id, last, _BATCH)
        held = shown_file_queries.hold_chats(unit, [place.chat_id for place in places])
        for chat_id in held:
            unit.after_commit(partial(jobs.mark_for_search, chat_id))
        for place in places:
            row = shown_file_queries.stamp(unit, place) if place.chat_id in held else None
            if row is not None:
                message = present(row)
                hidden_from = queries.hidden_from(unit, place.chat_id, message["seq"])
                events.message_updated(unit, held[place.chat_id], message, hidden_from)
        if len(places) < _BATCH:
            shown_file_queries.end_untold(unit, file_id)
            return False
        shown_file_queries.note_told(unit, file_id, places[-1])
        return True

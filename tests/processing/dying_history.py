"""The end of a chat and the job that lets go of its files, killed on their way; as `tests.processing.dying`.

`python -m tests.processing.dying_history steps|half`: a chat of 3 files, two at once, killed at every step; or one of
3,000 files, killed once half-way.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

from app.chats import service as chats
from app.files.service import histories, releasing, sweeping
from app.infra.db import unit_of_work
from app.infra.logging import configure_logging
from app.infra.migrations import upgrade
from config import settings
from tests import factories
from tests.processing.dying import Steps, is_killed
from tests.processing.files import known, stored
from tests.processing.shown import add_shown_files

MANY = 3_000


def make_chat(files: int) -> tuple[int, int]:
    """A group that shows so many files: its owner, and its id."""
    owner_id, other_id = factories.make_users(2)
    chat_id = factories.make_chat([owner_id, other_id])
    factories.run("UPDATE chat_members SET role = 'owner' WHERE user_id = :id", id=owner_id)
    add_shown_files(owner_id, chat_id, files, are_stored=True)
    return owner_id, chat_id


def end(owner_id: int, chat_id: int) -> None:
    """The request, and the jobs that it asks for."""
    with unit_of_work() as unit:
        chats.delete_chat(unit, owner_id, chat_id, for_everyone=True)
    histories.release_history(chat_id)
    releasing.remove_objects()


def sweep() -> None:
    """All sweeps, a day later, and the jobs that they ask for."""
    for row in factories.rows("SELECT chat_id FROM released_histories"):
        histories.release_history(row["chat_id"])
    releasing.sweep_unused()
    releasing.remove_objects()
    sweeping.sweep_storage()


def left(chat_id: int) -> dict[str, Any]:
    """What there is: files by their rows and their objects, and what shows them."""
    files = factories.scalar("SELECT count(*) FROM files")
    return {
        "ended": factories.scalar("SELECT deleted_at IS NOT NULL FROM chats WHERE id = :id", id=chat_id),
        "rows": files,
        "objects": len(stored()),
        "known": len(known()),
        "references": factories.scalar("SELECT count(*) FROM message_files"),
        "noted": factories.scalar("SELECT count(*) FROM removed_objects"),
        "due": factories.scalar("SELECT count(*) FROM released_histories"),
    }


def tell(chat_id: int, **more: object) -> None:
    print(json.dumps(left(chat_id) | more), flush=True)


def at_every_step() -> None:
    """Kills at the first step, at the second, and so on, until nobody is killed any more."""
    histories._BATCH = 2
    last, killed = 0, True
    while killed:
        last += 1
        owner_id, chat_id = make_chat(3)
        killed = is_killed(partial(end, owner_id, chat_id), Steps(last))
        sweep()
        tell(chat_id, killed=killed)
        if not left(chat_id)["ended"]:
            end(owner_id, chat_id)


def half_way() -> None:
    """Kills one that has let go of half of its files, by rough counting; then sweeps."""
    owner_id, chat_id = make_chat(MANY)
    statements_of_a_batch = 11
    half = statements_of_a_batch * (MANY // histories._BATCH) // 2
    killed = is_killed(partial(end, owner_id, chat_id), Steps(half))
    tell(chat_id, killed=killed)
    sweep()
    tell(chat_id, killed=False)


if __name__ == "__main__":
    configure_logging(settings())
    upgrade()
    at_every_step() if sys.argv[1] == "steps" else half_way()
